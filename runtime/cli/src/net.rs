//! What of the network a guest is given: `--net RULE`, and Wasmtime's `-S inherit-network,tcp=n,udp,allow-ip-name-lookup`.
//!
//! Invariant: without options nothing is given; what takes away wins over what gives.
//!
//! Does not know: what rules permit.

use crate::command_line::Parsed;
use crate::failure::Failure;
use crate::settings::Settings;
use wattest_wasi::host::net::{Network, Protocol, Purpose, Rule};

/// What the options give.
pub fn network(parsed: &Parsed, settings: &Settings) -> Result<Network, Failure> {
    let given = parsed.texts("net")?;
    let mut rules = Vec::new();
    for text in &given {
        match *text {
            "none" if given.len() == 1 => {}
            "none" => return Err(Failure::usage("--net none takes everything away: give no other --net with it")),
            "inherit" => rules.extend([Rule::all(Purpose::Reach), Rule::all(Purpose::Listen)]),
            text => rules.push(text.parse::<Rule>().map_err(|error| Failure::usage(format!("--net {text}: {error}")))?),
        }
    }
    if settings.network("inherit-network") == Some(true) {
        rules.extend([Rule::all(Purpose::Reach), Rule::all(Purpose::Listen)]);
    }
    // In Wasmtime all addresses do not include names.
    let by_rules = !given.is_empty() || settings.network("inherit-network") != Some(true);
    let names = settings.network("allow-ip-name-lookup").or(if by_rules { None } else { Some(false) });
    let denied = [("tcp", Protocol::Tcp), ("udp", Protocol::Udp)]
        .map(|(key, protocol)| if settings.network(key) == Some(false) { Some(protocol) } else { None });
    Ok(Network::with_names(rules.into_iter().flat_map(|rule| without(rule, denied)), names))
}

/// What is left of a rule without some transports.
fn without(rule: Rule, denied: [Option<Protocol>; 2]) -> Vec<Rule> {
    if denied == [None, None] {
        return vec![rule];
    }
    let left = [Protocol::Tcp, Protocol::Udp].into_iter().filter(|protocol| !denied.contains(&Some(*protocol)));
    let left = left.filter(|protocol| rule.protocol.is_none_or(|own| own == *protocol));
    left.map(|protocol| Rule { protocol: Some(protocol), ..rule.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transports_are_taken_out_of_rules() {
        fn check(rule: &str, denied: [Option<Protocol>; 2], expected: &[&str]) {
            let left: Vec<_> = without(rule.parse().unwrap(), denied).iter().map(ToString::to_string).collect();
            assert_eq!(left, expected, "{rule}");
        }
        check("*", [None, None], &["*"]);
        check("*", [None, Some(Protocol::Udp)], &["tcp://*"]);
        check("udp://a.b:1", [None, Some(Protocol::Udp)], &[]);
        check("udp://a.b:1", [Some(Protocol::Tcp), None], &["udp://a.b:1"]);
        check("*", [Some(Protocol::Tcp), Some(Protocol::Udp)], &[]);
    }
}
