//! What of the network a guest may use.
//!
//! Names and addresses are two capabilities: a rule with a name permits to look up that name, and then to reach the addresses
//! that came of it, at the rule's ports. Who connects by name asks [`Network::permit_host`] before the lookup, tells
//! [`Network::learn`] what came of it, and asks [`Network::permit_remote`] about the address that is taken.
//!
//! Invariant: what was denied is noted with the rule that would have permitted it; what a guest can make this remember is
//! bounded.
//!
//! Does not know: sockets, how names are looked up.

use super::super::denial::{Denial, Denials};
use super::error::NetError;
use super::lookup::Resolver;
use super::rule::{Host, Protocol, Purpose, Rule, canonical_name};
use super::tcp::TcpSocket;
use crate::Errno;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// Most addresses that are remembered for names; the oldest are forgotten first.
const LEARNED_MAX: usize = 1024;

/// How long all sockets of a guest together may go on sending what was kept when they are closed, in nanoseconds.
const LINGER_NS_MAX: u64 = 2_000_000_000;

/// How much of the host a guest's sockets may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkLimits {
    /// Sockets that are open at once.
    pub sockets_max: usize,
    /// Names that are looked up at once, each by a thread.
    pub lookups_max: usize,
}

impl Default for NetworkLimits {
    fn default() -> NetworkLimits {
        NetworkLimits { sockets_max: 1024, lookups_max: 32 }
    }
}

/// What of the network a guest may use; clones share what was learned, and the limits. The default is nothing.
#[derive(Clone, Debug, Default)]
pub struct Network {
    shared: Arc<Shared>,
    resolver: Resolver,
}

/// A place in a limited number of things, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    taken: Arc<AtomicUsize>,
}

impl Slot {
    fn take(taken: &Arc<AtomicUsize>, most: usize) -> Option<Slot> {
        let more = |count| (count < most).then_some(count + 1);
        taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Slot { taken: taken.clone() })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
struct Shared {
    limits: NetworkLimits,
    sockets: Arc<AtomicUsize>,
    lookups: Arc<AtomicUsize>,
    /// Nanoseconds of [`LINGER_NS_MAX`] that are used up.
    lingered: AtomicU64,
    /// Sockets that keep bytes for which there was no room.
    unsent: Mutex<Vec<Weak<TcpSocket>>>,
    rules: Vec<Rule>,
    /// Names may be looked up that no rule names, or none at all.
    names: Option<bool>,
    learned: Mutex<VecDeque<(IpAddr, String)>>,
    denials: OnceLock<Denials>,
}

impl Network {
    /// Nothing.
    pub fn none() -> Network {
        Network::default()
    }

    /// All that the process may use: every address, every name, listening everywhere.
    pub fn inherit() -> Network {
        Network::new([Rule::all(Purpose::Reach), Rule::all(Purpose::Listen)])
    }

    /// What the rules permit.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Network {
        Network::with_names(rules, None)
    }

    /// What the rules permit, with all names or with none to be looked up instead of those that the rules name. An address
    /// that came of a name which no rule names is still to be permitted as an address.
    pub fn with_names(rules: impl IntoIterator<Item = Rule>, names: Option<bool>) -> Network {
        Network::with_limits(rules, names, NetworkLimits::default())
    }

    /// The same, with other limits than the usual ones.
    pub fn with_limits(rules: impl IntoIterator<Item = Rule>, names: Option<bool>, limits: NetworkLimits) -> Network {
        let shared = Shared { rules: rules.into_iter().collect(), names, limits, ..Shared::default() };
        Network { shared: Arc::new(shared), resolver: Resolver::default() }
    }

    /// Lets names be looked up by somebody else than the host.
    pub fn with_resolver(self, resolver: Resolver) -> Network {
        Network { resolver, ..self }
    }

    pub(super) fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// A place for a socket; [`Errno::Mfile`] if there are too many.
    pub(super) fn take_socket(&self) -> Result<Slot, Errno> {
        Slot::take(&self.shared.sockets, self.shared.limits.sockets_max).ok_or(Errno::Mfile)
    }

    /// A place for a lookup.
    pub(super) fn take_lookup(&self) -> Result<Slot, NetError> {
        Slot::take(&self.shared.lookups, self.shared.limits.lookups_max).ok_or(NetError::ResolverTemporary)
    }

    fn unsent(&self) -> MutexGuard<'_, Vec<Weak<TcpSocket>>> {
        self.shared.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a socket that keeps bytes.
    pub(super) fn keep_sending(&self, socket: Weak<TcpSocket>) {
        self.unsent().push(socket);
    }

    /// Sends what can be sent of what sockets keep; the sockets that keep bytes still. Whoever waits for anything else waits
    /// for these as well, so that a guest which waits for an answer has sent its question.
    pub fn send_kept(&self) -> Vec<Arc<TcpSocket>> {
        let sockets: Vec<_> = std::mem::take(&mut *self.unsent()).iter().filter_map(Weak::upgrade).collect();
        let keeping: Vec<_> = sockets.into_iter().filter(|socket| !socket.send_kept()).collect();
        self.unsent().extend(keeping.iter().map(Arc::downgrade));
        keeping
    }

    /// How many nanoseconds closing a socket may still take.
    pub(super) fn linger_left(&self) -> u64 {
        LINGER_NS_MAX.saturating_sub(self.shared.lingered.load(Ordering::Relaxed))
    }

    pub(super) fn linger(&self, nanoseconds: u64) {
        self.shared.lingered.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Lets denials be noted; only the first time.
    pub(crate) fn log_denials(&self, denials: &Denials) {
        // A network that is shared by several guests keeps to the first one's.
        let _ = self.shared.denials.set(denials.clone());
    }

    /// Whether nothing at all is permitted.
    pub fn is_none(&self) -> bool {
        self.shared.rules.is_empty() && self.shared.names != Some(true)
    }

    fn learned(&self) -> MutexGuard<'_, VecDeque<(IpAddr, String)>> {
        self.shared.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deny(&self, rule: Rule) -> Errno {
        if let Some(denials) = self.shared.denials.get() {
            denials.note(Denial::Network { rule: rule.to_string() });
        }
        Errno::Acces
    }

    fn rules(&self, protocol: Protocol, purpose: Purpose) -> impl Iterator<Item = &Rule> {
        self.shared.rules.iter().filter(move |rule| rule.is_about(protocol, purpose))
    }

    /// Whether a name may be looked up; the name in its canonical form. [`Errno::Inval`] for what is no name,
    /// [`Errno::Acces`] for what is not permitted.
    pub fn permit_name(&self, name: &str) -> Result<String, Errno> {
        let name = canonical_name(name).ok_or(Errno::Inval)?;
        let mut rules = self.shared.rules.iter().filter(|rule| rule.purpose == Purpose::Reach);
        let permitted = self.shared.names.unwrap_or_else(|| rules.any(|rule| rule.host.covers_name(&name)));
        match permitted {
            true => Ok(name),
            false => Err(self.deny(named(Protocol::Tcp, name, super::Ports::ALL))),
        }
    }

    /// Whether a host, a name or an address as URLs write it, may be reached at a port, before it is looked up.
    pub fn permit_host(&self, protocol: Protocol, host: &str, port: u16) -> Result<(), Errno> {
        let unbracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = unbracketed.parse::<IpAddr>() {
            return self.permit_remote(protocol, SocketAddr::new(address, port));
        }
        let name = self.permit_name(host)?;
        let mut rules = self.rules(protocol, Purpose::Reach).filter(|rule| rule.ports.contains(port));
        // Where all names may be looked up, it is their addresses that count.
        match self.shared.names == Some(true) || rules.any(|rule| rule.host.covers_name(&name)) {
            true => Ok(()),
            false => Err(self.deny(named(protocol, name, super::Ports { first: port, last: port }))),
        }
    }

    /// Remembers which addresses a name has: rules that name it are about them from now on.
    pub fn learn(&self, name: &str, addresses: impl IntoIterator<Item = IpAddr>) {
        let Some(name) = canonical_name(name) else { return };
        if !self.shared.rules.iter().any(|rule| rule.host != Host::Any && rule.host.covers_name(&name)) {
            return;
        }
        let mut learned = self.learned();
        for address in addresses.into_iter().take(LEARNED_MAX) {
            let row = (address.to_canonical(), name.clone());
            if !learned.contains(&row) {
                learned.push_back(row);
            }
            if learned.len() > LEARNED_MAX {
                learned.pop_front();
            }
        }
    }

    fn permits_remote(&self, protocol: Protocol, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        let mut rules = self.rules(protocol, Purpose::Reach).filter(|rule| rule.ports.contains(address.port()));
        rules.any(|rule| match &rule.host {
            Host::Any | Host::Net(..) => rule.host.covers(ip),
            host => self.learned().iter().any(|(learned, name)| *learned == ip && host.covers_name(name)),
        })
    }

    /// Whether an address may be connected to, or sent to; [`Errno::Acces`] if not.
    pub fn permit_remote(&self, protocol: Protocol, address: SocketAddr) -> Result<(), Errno> {
        if self.permits_remote(protocol, address) {
            return Ok(());
        }
        // The rule that is proposed says the name that the guest went by.
        let ip = address.ip().to_canonical();
        let name = self.learned().iter().rfind(|(learned, _)| *learned == ip).map(|(_, name)| name.clone());
        let rule = Rule::address(protocol, Purpose::Reach, SocketAddr::new(ip, address.port()));
        Err(self.deny(match name {
            Some(name) => Rule { host: Host::Name(name), ..rule },
            None => rule,
        }))
    }

    /// Whether a socket may be bound to an address, and whether others may be let in through it. A port that the system
    /// chooses may be bound for any purpose; letting others in needs a rule of its own.
    pub fn permit_local(&self, protocol: Protocol, address: SocketAddr) -> Result<bool, Errno> {
        let ip = address.ip().to_canonical();
        let may_listen = self.permits_listening(protocol, address);
        let may_reach = self.rules(protocol, Purpose::Reach).next().is_some();
        if may_listen || (may_reach && address.port() == 0) {
            return Ok(may_listen);
        }
        Err(self.deny(Rule::address(protocol, Purpose::Listen, SocketAddr::new(ip, address.port()))))
    }

    fn permits_listening(&self, protocol: Protocol, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        let mut rules = self.rules(protocol, Purpose::Listen).filter(|rule| rule.ports.contains(address.port()));
        // The address that stands for all of the machine's own is one that says so, not one within a net.
        rules.any(|rule| match rule.host {
            Host::Net(net, length) if ip.is_unspecified() => net == ip && length > 0,
            Host::Net(net, _) if net.is_unspecified() && net.is_ipv4() == ip.is_ipv4() => true,
            ref host => host.covers(ip),
        })
    }

    /// Whether others may be let in at an address; [`Errno::Acces`] if not.
    pub fn permit_listening(&self, protocol: Protocol, address: SocketAddr) -> Result<(), Errno> {
        match self.permits_listening(protocol, address) {
            true => Ok(()),
            false => Err(self.deny(Rule::address(protocol, Purpose::Listen, address))),
        }
    }

    /// Whether a datagram from an address may be handed over; not noted, since whoever sends it is not the guest.
    pub fn permits_sender(&self, address: SocketAddr) -> bool {
        self.permits_remote(Protocol::Udp, address)
    }
}

fn named(protocol: Protocol, name: String, ports: super::Ports) -> Rule {
    Rule { protocol: Some(protocol), purpose: Purpose::Reach, host: Host::Name(name), ports }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(rules: &[&str]) -> (Network, Denials) {
        let network = Network::new(rules.iter().map(|rule| rule.parse().unwrap()));
        let denials = Denials::default();
        network.log_denials(&denials);
        (network, denials)
    }

    fn noted(denials: &Denials) -> Vec<String> {
        let rules = denials.list().into_iter().filter_map(|denial| match denial {
            Denial::Network { rule } => Some(rule),
            _ => None,
        });
        rules.collect()
    }

    /// Asks; the answer, and the rule that would grant what was denied, which then does.
    fn check(rules: &[&str], ask: impl Fn(&Network) -> Result<(), Errno>, expected: Result<(), &str>) {
        let (network, denials) = network(rules);
        assert_eq!(ask(&network), expected.map_err(|_| Errno::Acces), "{rules:?}");
        assert_eq!(noted(&denials), expected.err().into_iter().collect::<Vec<_>>(), "{rules:?}");
        if let Err(granting) = expected {
            let more: Vec<_> = rules.iter().copied().chain([granting]).collect();
            assert_eq!(ask(&self::network(&more).0), Ok(()), "{more:?}");
        }
    }

    #[test]
    fn addresses_are_reached_by_rules() {
        let check = |rules: &[&str], address: &str, expected| {
            check(rules, |network| network.permit_remote(Protocol::Tcp, address.parse().unwrap()), expected);
        };
        check(&[], "127.0.0.1:80", Err("tcp://127.0.0.1:80"));
        check(&["*"], "127.0.0.1:80", Ok(()));
        check(&["tcp://127.0.0.1:80"], "127.0.0.1:80", Ok(()));
        check(&["tcp://127.0.0.1:80"], "127.0.0.1:81", Err("tcp://127.0.0.1:81"));
        check(&["udp://127.0.0.1:80"], "127.0.0.1:80", Err("tcp://127.0.0.1:80"));
        check(&["tcp-listen://*"], "127.0.0.1:80", Err("tcp://127.0.0.1:80"));
        check(&["tcp://127.0.0.0/8:80"], "[::ffff:127.0.0.1]:80", Ok(()));
        check(&["tcp://localhost:80"], "127.0.0.1:80", Err("tcp://127.0.0.1:80"));
        check(&["tcp://[::1]:1-9"], "[::1]:9", Ok(()));
    }

    #[test]
    fn names_give_their_addresses() {
        let address = "192.0.2.1".parse().unwrap();
        let check = |rules: &[&str], name: &str, port, expected| {
            let ask = |network: &Network| {
                network.permit_name(name)?;
                network.learn(name, [address]);
                network.permit_remote(Protocol::Tcp, SocketAddr::new(address, port))
            };
            check(rules, ask, expected);
        };
        check(&["tcp://Example.org:443"], "example.ORG.", 443, Ok(()));
        check(&["tcp://*.example.org:443"], "www.example.org", 443, Ok(()));
        check(&["tcp://example.org:443"], "example.org", 80, Err("tcp://example.org:80"));
        check(&["udp://example.org:443"], "example.org", 443, Err("tcp://example.org:443"));
        check(&["*"], "example.net", 1, Ok(()));
        let (named, _) = network(&["tcp://example.org:443"]);
        assert_eq!(named.permit_name("example.net"), Err(Errno::Acces));
        assert_eq!(named.permit_name("not a name"), Err(Errno::Inval));
        assert_eq!(network(&["tcp-listen://*"]).0.permit_name("example.net"), Err(Errno::Acces));
    }

    #[test]
    fn hosts_are_asked_for_before_they_are_looked_up() {
        let check = |rules: &[&str], host: &str, expected| {
            check(rules, |network| network.permit_host(Protocol::Tcp, host, 443), expected);
        };
        check(&["https://example.org"], "example.org", Ok(()));
        check(&["tcp://example.org:80"], "example.org", Err("tcp://example.org:443"));
        check(&["tcp://10.0.0.0/8"], "10.1.1.1", Ok(()));
        check(&["tcp://[::1]"], "[::1]", Ok(()));
        check(&[], "127.0.0.1", Err("tcp://127.0.0.1:443"));
        check(&[], "example.org", Err("tcp://example.org"));
    }

    #[test]
    fn all_names_or_none_can_be_granted() {
        let all = Network::with_names(["tcp://10.0.0.0/8".parse().unwrap()], Some(true));
        assert_eq!(all.permit_host(Protocol::Tcp, "example.org", 1), Ok(()));
        all.learn("example.org", ["192.0.2.1".parse().unwrap()]);
        assert_eq!(all.permit_remote(Protocol::Tcp, "192.0.2.1:1".parse().unwrap()), Err(Errno::Acces));
        let none = Network::with_names([Rule::all(Purpose::Reach)], Some(false));
        assert_eq!(none.permit_name("example.org"), Err(Errno::Acces));
        assert_eq!(none.permit_remote(Protocol::Tcp, "192.0.2.1:1".parse().unwrap()), Ok(()));
        assert!(Network::none().is_none() && !all.is_none());
    }

    #[test]
    fn letting_others_in_is_a_right_of_its_own() {
        fn check(rules: &[&str], address: &str, expected: Result<bool, &str>) {
            let (network, denials) = network(rules);
            let result = network.permit_local(Protocol::Tcp, address.parse().unwrap());
            assert_eq!(result, expected.map_err(|_| Errno::Acces), "{rules:?} {address}");
            assert_eq!(noted(&denials), expected.err().into_iter().collect::<Vec<_>>());
        }
        check(&[], "127.0.0.1:0", Err("tcp-listen://127.0.0.1:0"));
        check(&["tcp://127.0.0.1:80"], "127.0.0.1:0", Ok(false));
        check(&["tcp://127.0.0.1:80"], "127.0.0.1:80", Err("tcp-listen://127.0.0.1:80"));
        check(&["tcp-listen://127.0.0.1:80"], "127.0.0.1:80", Ok(true));
        check(&["tcp-listen://127.0.0.1:80"], "127.0.0.1:0", Err("tcp-listen://127.0.0.1:0"));
        check(&["tcp-listen://127.0.0.0/8"], "0.0.0.0:80", Err("tcp-listen://0.0.0.0:80"));
        check(&["tcp-listen://0.0.0.0:80"], "0.0.0.0:80", Ok(true));
        check(&["tcp-listen://0.0.0.0:80"], "192.0.2.1:80", Ok(true));
        check(&["tcp-listen://*:80"], "[::]:80", Ok(true));
    }

    #[test]
    fn what_is_learned_is_bounded() {
        let (network, _) = network(&["tcp://example.org"]);
        let address = |number: u32| IpAddr::V4(number.into());
        for number in 0..LEARNED_MAX as u32 + 10 {
            network.learn("example.org", [address(number)]);
            network.learn("not.permitted", [address(number)]);
        }
        assert_eq!(network.learned().len(), LEARNED_MAX);
        let reach = |number| network.permit_remote(Protocol::Tcp, SocketAddr::new(address(number), 1));
        assert_eq!((reach(9), reach(10)), (Err(Errno::Acces), Ok(())));
    }
}
