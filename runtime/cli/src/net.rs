//! What of the network a guest is given: `--net RULE`, `--listen ADDRESS`, and Wasmtime's
//! `-S inherit-network,tcp=n,udp,allow-ip-name-lookup,tcplisten=ADDRESS`.
//!
//! Invariant: without options nothing is given; what takes away wins over what gives.
//!
//! Does not know: what rules permit.

use crate::command_line::Parsed;
use crate::failure::Failure;
use crate::settings::Settings;
use std::net::ToSocketAddrs;
use std::sync::Arc;
use wattest_wasi::host::net::{Network, Protocol, Purpose, Rule, TcpSocket};

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

/// Where sockets are to listen that the guest is handed, with the option's spelling.
fn listens(parsed: &Parsed, settings: &Settings) -> Result<Vec<String>, Failure> {
    let own = parsed.texts("listen")?.into_iter().map(|address| format!("--listen {address}"));
    Ok(own.chain(settings.listens().map(|address| format!("-S tcplisten={address}"))).collect())
}

/// The sockets that the guest is handed; where the system chose a port, it is told on standard error.
pub fn listeners(parsed: &Parsed, settings: &Settings) -> Result<Vec<Arc<TcpSocket>>, Failure> {
    // They need no rule: they are given. What they let in counts as the guest's sockets.
    let network = Network::none();
    let open = |option: String| {
        let address = option.split([' ', '=']).next_back().unwrap_or_default();
        let wrong = |error: &dyn std::fmt::Display| Failure::usage(format!("{option}: cannot listen there: {error}"));
        let found = address.to_socket_addrs().map_err(|error| wrong(&error))?.next();
        let found = found.ok_or_else(|| wrong(&"the name has no address"))?;
        let socket = TcpSocket::listener(&network, found).map_err(|error| wrong(&error))?;
        if found.port() == 0 {
            eprintln!("Listening on {}", socket.local_address().map_err(|error| wrong(&error))?);
        }
        Ok(socket)
    };
    listens(parsed, settings)?.into_iter().map(open).collect()
}

/// Fails if the guest is to be handed a socket that listens: a component has no use for it.
pub fn refuse_listeners(parsed: &Parsed, settings: &Settings) -> Result<(), Failure> {
    match listens(parsed, settings)?.first() {
        None => Ok(()),
        Some(option) => Err(Failure::usage(format!(
            "{option}: components open sockets themselves: allow it with --net tcp-listen://ADDRESS"
        ))),
    }
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
