//! A rule of an allow-list: `tcp://example.org:443`, `udp://10.0.0.0/8:5000-5010`, `tcp-listen://127.0.0.1:*`, `*`.
//!
//! Invariant: a rule prints as text that parses to the same rule.
//!
//! Does not know: which addresses a name has.

use std::fmt::{Display, Formatter};
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// Most bytes of a domain name ([RFC 1035](https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4)), without its last dot.
const NAME_BYTES_MAX: usize = 253;
/// Most bytes of a label.
const LABEL_BYTES_MAX: usize = 63;

/// A transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

/// What an address is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// The other side: to connect to, to send to, to get answers from.
    Reach,
    /// This side: to let others in.
    Listen,
}

/// Whom a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// Everybody.
    Any,
    /// A name, in lower case; its addresses are those that looking it up gave.
    Name(String),
    /// The names that end in a dot and this one: `*.example.org`.
    Below(String),
    /// The addresses that begin with so many bits of this one; all bits are a single address.
    Net(IpAddr, u8),
}

/// A range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ports {
    /// The lowest.
    pub first: u16,
    /// The highest.
    pub last: u16,
}

impl Ports {
    /// Every port.
    pub const ALL: Ports = Ports { first: 0, last: u16::MAX };

    fn one(port: u16) -> Ports {
        Ports { first: port, last: port }
    }

    /// Whether a port is in the range.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

/// What a guest may do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// By which transport; none stands for all.
    pub protocol: Option<Protocol>,
    /// What for.
    pub purpose: Purpose,
    /// With whom.
    pub host: Host,
    /// At which ports.
    pub ports: Ports,
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// There is no `scheme://`, or an unknown one.
    #[error("a rule begins with tcp://, udp://, http://, https://, tcp-listen:// or udp-listen://, or is `*`")]
    Scheme,
    /// There is no host.
    #[error("a rule names a host, an address, a net (10.0.0.0/8), `*.domain`, or `*` for all")]
    Host,
    /// One listens at addresses, not at names.
    #[error("one listens at an address of this machine, or at `*` for all of them, not at a name")]
    ListenName,
    /// This is no port and no range of ports.
    #[error("a port is a number up to 65535, a range (8000-8080), or `*` for all")]
    Ports,
}

/// The schemes, with what they say: transport, purpose, port where none is given.
const SCHEMES: &[(&str, Protocol, Purpose, Option<u16>)] = &[
    ("tcp", Protocol::Tcp, Purpose::Reach, None),
    ("udp", Protocol::Udp, Purpose::Reach, None),
    ("tcp-listen", Protocol::Tcp, Purpose::Listen, None),
    ("udp-listen", Protocol::Udp, Purpose::Listen, None),
    // Only to be read: they print as what they stand for.
    ("http", Protocol::Tcp, Purpose::Reach, Some(80)),
    ("https", Protocol::Tcp, Purpose::Reach, Some(443)),
];

impl Rule {
    /// All that a purpose can be.
    pub const fn all(purpose: Purpose) -> Rule {
        Rule { protocol: None, purpose, host: Host::Any, ports: Ports::ALL }
    }

    /// One address and port.
    pub fn address(protocol: Protocol, purpose: Purpose, address: std::net::SocketAddr) -> Rule {
        let host = Host::Net(address.ip(), bits(address.ip()));
        Rule { protocol: Some(protocol), purpose, host, ports: Ports::one(address.port()) }
    }

    /// Whether the rule is about a transport and a purpose.
    pub fn is_about(&self, protocol: Protocol, purpose: Purpose) -> bool {
        self.protocol.is_none_or(|own| own == protocol) && self.purpose == purpose
    }
}

impl Host {
    /// Whether an address is meant, by itself.
    pub fn covers(&self, address: IpAddr) -> bool {
        match self {
            Host::Any => true,
            Host::Name(_) | Host::Below(_) => false,
            Host::Net(net, length) => common_bits(*net, address).is_some_and(|common| common >= *length),
        }
    }

    /// Whether a name, as [`canonical_name`] gives it, is meant.
    pub fn covers_name(&self, name: &str) -> bool {
        match self {
            Host::Any => true,
            Host::Name(own) => own == name,
            Host::Below(own) => {
                name.strip_suffix(own.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            Host::Net(..) => false,
        }
    }
}

/// How many bits an address has.
fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// How many bits two addresses of one family begin with alike.
fn common_bits(first: IpAddr, second: IpAddr) -> Option<u8> {
    let zeros = match (first, second) {
        (IpAddr::V4(first), IpAddr::V4(second)) => (first.to_bits() ^ second.to_bits()).leading_zeros(),
        (IpAddr::V6(first), IpAddr::V6(second)) => (first.to_bits() ^ second.to_bits()).leading_zeros(),
        _ => return None,
    };
    Some(zeros as u8)
}

/// A domain name as it is compared and looked up: in lower case, without the dot at its end, labels that are not ASCII as
/// [IDNA](https://www.rfc-editor.org/rfc/rfc5891#section-4.4) writes them. None for what is no name.
pub fn canonical_name(name: &str) -> Option<String> {
    // Longer ones cannot fit, however they are written.
    if name.len() > 4 * NAME_BYTES_MAX {
        return None;
    }
    let name = name.split(IDEOGRAPHIC_STOPS).map(ascii_label).collect::<Option<Vec<_>>>()?.join(".");
    let name = name.strip_suffix('.').unwrap_or(&name);
    let is_label = |label: &str| {
        let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        plain && !label.is_empty() && label.len() <= LABEL_BYTES_MAX && !label.starts_with('-') && !label.ends_with('-')
    };
    // A name whose last label is a number would be read as an address of IPv4, by some.
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    let fits = name.len() <= NAME_BYTES_MAX && name.split('.').all(is_label);
    (fits && !name.rsplit('.').next().is_some_and(is_number)).then(|| name.to_owned())
}

/// The dots of other scripts, which separate labels as well.
const IDEOGRAPHIC_STOPS: [char; 4] = ['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'];

/// A label in ASCII. Letters become small; what is written in another way than the registries write it (a letter and an accent
/// apart) is not composed first, so that it is a name of its own, which nobody has.
fn ascii_label(label: &str) -> Option<String> {
    if label.is_ascii() {
        return Some(label.to_ascii_lowercase());
    }
    let small: Vec<char> = label.chars().flat_map(char::to_lowercase).collect();
    if small.len() > LABEL_BYTES_MAX || small.iter().any(|c| c.is_whitespace() || c.is_control()) {
        return None;
    }
    Some(format!("xn--{}", punycode(&small)?))
}

/// The parameters of Punycode ([RFC 3492](https://www.rfc-editor.org/rfc/rfc3492#section-5)).
const BASE: u32 = 36;
const THRESHOLDS: [u32; 2] = [1, 26];
const FIRST_OUTSIDE_ASCII: u32 = 128;

/// Punycode's text for a label of at most [`LABEL_BYTES_MAX`] characters.
fn punycode(label: &[char]) -> Option<String> {
    let mut text: String = label.iter().filter(|c| c.is_ascii()).collect();
    let basic = text.len() as u32;
    if basic > 0 {
        text.push('-');
    }
    let (mut next, mut delta, mut bias, mut handled) = (FIRST_OUTSIDE_ASCII, 0u32, 72, basic);
    while (handled as usize) < label.len() {
        let least = label.iter().map(|c| *c as u32).filter(|c| *c >= next).min()?;
        delta = delta.checked_add((least - next).checked_mul(handled + 1)?)?;
        next = least;
        for c in label {
            let c = *c as u32;
            delta = delta.checked_add(u32::from(c < next))?;
            if c == next {
                push_variable_length(&mut text, delta, bias);
                bias = adapted_bias(delta, handled + 1, handled == basic);
                delta = 0;
                handled += 1;
            }
        }
        delta = delta.checked_add(1)?;
        next += 1;
    }
    Some(text)
}

fn push_variable_length(text: &mut String, mut number: u32, bias: u32) {
    let digit = |value: u32| char::from(if value < 26 { b'a' + value as u8 } else { b'0' + (value - 26) as u8 });
    let mut position = BASE;
    loop {
        let threshold = position.saturating_sub(bias).clamp(THRESHOLDS[0], THRESHOLDS[1]);
        if number < threshold {
            text.push(digit(number));
            return;
        }
        text.push(digit(threshold + (number - threshold) % (BASE - threshold)));
        number = (number - threshold) / (BASE - threshold);
        position += BASE;
    }
}

fn adapted_bias(delta: u32, handled: u32, first: bool) -> u32 {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta += delta / handled;
    let mut rounds = 0;
    while delta > (BASE - 1) * 26 / 2 {
        delta /= BASE - 1;
        rounds += BASE;
    }
    rounds + BASE * delta / (delta + 38)
}

fn parse_ports(text: &str) -> Option<Ports> {
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    match text.split_once('-') {
        _ if text == "*" => Some(Ports::ALL),
        None => number(text).map(Ports::one),
        Some((first, last)) => {
            Some(Ports { first: number(first)?, last: number(last)? }).filter(|ports| ports.first <= ports.last)
        }
    }
}

fn parse_host(text: &str) -> Option<Host> {
    if text == "*" {
        return Some(Host::Any);
    }
    if let Some(domain) = text.strip_prefix("*.") {
        return canonical_name(domain).map(Host::Below);
    }
    let unbracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let (address, length) = match unbracketed.unwrap_or(text).split_once('/') {
        None => (unbracketed.unwrap_or(text), None),
        Some((address, length)) => (address, Some(length.parse::<u8>().ok()?)),
    };
    match address.parse::<IpAddr>() {
        Ok(address) => {
            let length = length.unwrap_or_else(|| bits(address));
            (length <= bits(address) && address.is_ipv6() == unbracketed.is_some())
                .then(|| Host::Net(first_of_net(address, length), length))
        }
        Err(_) if length.is_none() && unbracketed.is_none() => canonical_name(text).map(Host::Name),
        Err(_) => None,
    }
}

/// The lowest address of a net, by which it is known.
fn first_of_net(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Rule, RuleError> {
        if text == "*" {
            return Ok(Rule::all(Purpose::Reach));
        }
        let (scheme, rest) = text.split_once("://").ok_or(RuleError::Scheme)?;
        let row = SCHEMES.iter().find(|row| row.0 == scheme).ok_or(RuleError::Scheme)?;
        let (_, protocol, purpose, port) = *row;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        // The colons of an address of IPv6 are within brackets.
        let (host, ports) = match rest.rsplit_once(':') {
            Some((host, ports)) if !ports.contains(']') => (host, parse_ports(ports).ok_or(RuleError::Ports)?),
            _ => (rest, port.map_or(Ports::ALL, Ports::one)),
        };
        let host = parse_host(host).ok_or(RuleError::Host)?;
        if purpose == Purpose::Listen && matches!(host, Host::Name(_) | Host::Below(_)) {
            return Err(RuleError::ListenName);
        }
        Ok(Rule { protocol: Some(protocol), purpose, host, ports })
    }
}

impl Display for Host {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Host::Any => f.write_str("*"),
            Host::Name(name) => f.write_str(name),
            Host::Below(domain) => write!(f, "*.{domain}"),
            Host::Net(address, length) => {
                let length = if *length == bits(*address) { String::new() } else { format!("/{length}") };
                match address {
                    IpAddr::V4(address) => write!(f, "{address}{length}"),
                    IpAddr::V6(address) => write!(f, "[{address}{length}]"),
                }
            }
        }
    }
}

impl Display for Rule {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let row = SCHEMES.iter().find(|row| Some(row.1) == self.protocol && row.2 == self.purpose);
        // Without a transport there is no scheme; only the rule for all is written so.
        let Some((scheme, ..)) = row else { return write!(f, "{}", self.host) };
        write!(f, "{scheme}://{}", self.host)?;
        match self.ports {
            Ports::ALL => Ok(()),
            Ports { first, last } if first == last => write!(f, ":{first}"),
            Ports { first, last } => write!(f, ":{first}-{last}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text is read, and printed in its shortest form.
    fn check(text: &str, expected: Result<&str, RuleError>) {
        let rule = text.parse::<Rule>();
        let printed = rule.as_ref().map(ToString::to_string).map_err(Clone::clone);
        assert_eq!(printed.as_deref().map_err(Clone::clone), expected, "{text}");
        if let Ok(printed) = printed {
            assert_eq!(printed.parse::<Rule>(), rule, "{text}");
        }
    }

    #[test]
    fn rules_are_read_and_printed() {
        check("tcp://example.org:443", Ok("tcp://example.org:443"));
        check("tcp://EXAMPLE.org.:443/", Ok("tcp://example.org:443"));
        check("https://example.org", Ok("tcp://example.org:443"));
        check("http://localhost:8080", Ok("tcp://localhost:8080"));
        check("tcp://bücher.example:*", Ok("tcp://xn--bcher-kva.example"));
        check("udp://*.example.org:53-54", Ok("udp://*.example.org:53-54"));
        check("udp://10.1.2.3/8", Ok("udp://10.0.0.0/8"));
        check("tcp://[::1]:80", Ok("tcp://[::1]:80"));
        check("tcp://[fd00::1/16]", Ok("tcp://[fd00::/16]"));
        check("tcp-listen://127.0.0.1:0", Ok("tcp-listen://127.0.0.1:0"));
        check("udp-listen://*:53", Ok("udp-listen://*:53"));
        check("tcp://0.0.0.0/0:80", Ok("tcp://0.0.0.0/0:80"));
        check("*", Ok("*"));
    }

    #[test]
    fn mistakes_are_told_apart() {
        for text in ["", "example.org:80", "ftp://x", "://x", "tcp:x"] {
            check(text, Err(RuleError::Scheme));
        }
        // An empty host is a variable that was not set, rather than everybody.
        for text in ["tcp://", "tcp://:80", "tcp://a..b", "tcp://10.0.0.0/33", "tcp://[::1", "tcp://a/8", "tcp://[a]"] {
            check(text, Err(RuleError::Host));
        }
        for text in ["tcp://1.2.3", "tcp://x y", "tcp://-a", "tcp://[1.2.3.4]", "tcp://*x", "tcp://*.*.x"] {
            check(text, Err(RuleError::Host));
        }
        for text in ["tcp://a:", "tcp://a:x", "tcp://a:65536", "tcp://a:9-8", "tcp://a:+1", "tcp://::1"] {
            let expected = if text == "tcp://::1" { RuleError::Host } else { RuleError::Ports };
            check(text, Err(expected));
        }
        check("tcp-listen://example.org:80", Err(RuleError::ListenName));
    }

    #[test]
    fn names_are_written_in_ascii() {
        fn check(name: &str, expected: Option<&str>) {
            assert_eq!(canonical_name(name).as_deref(), expected, "{name}");
        }
        check("WWW.Example.ORG.", Some("www.example.org"));
        check("_srv.a-b.c9", Some("_srv.a-b.c9"));
        // Samples of RFC 3492, section 7.1, and names of real registries.
        check("Bücher.example", Some("xn--bcher-kva.example"));
        check("münchen。de", Some("xn--mnchen-3ya.de"));
        check("他们为什么不说中文", Some("xn--ihqwcrb4cv8a8dqg056pqjye"));
        check("ひとつ屋根の下2", Some("xn--2-u9tlzr9756bt3uc0v"));
        check("☃.net", Some("xn--n3h.net"));
        for name in ["", ".", "a..b", "a b", "a\u{a0}b.c", "-a", "a-", "1.2.3.4", "1.2", "[::1]", "a/b", "a:80", "a\0b"]
        {
            check(name, None);
        }
        check(&"a".repeat(64), None);
        check(&["a"; 127].join("."), Some(&["a"; 127].join(".")));
        check(&["a"; 128].join("."), None);
        check(&"ü".repeat(1000), None);
    }

    #[test]
    fn hosts_cover_what_they_name() {
        fn check(host: &str, address: &str, expected: bool) {
            let host = parse_host(host).unwrap();
            let covers = address.parse().map_or_else(|_| host.covers_name(address), |address| host.covers(address));
            assert_eq!(covers, expected, "{host} {address}");
        }
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("10.0.0.0/8", "::ffff:10.0.0.1", false);
        check("127.0.0.1", "127.0.0.2", false);
        check("0.0.0.0/0", "9.9.9.9", true);
        check("[::/0]", "fe80::1", true);
        check("*", "fe80::1", true);
        check("*", "example.org", true);
        check("example.org", "www.example.org", false);
        check("*.example.org", "www.example.org", true);
        check("*.example.org", "example.org", false);
        check("*.example.org", "wwwexample.org", false);
        check("127.0.0.1", "localhost", false);
        check("localhost", "127.0.0.1", false);
    }
}
