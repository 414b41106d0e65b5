//! Looking up names.
//!
//! The host's resolver waits, so that each lookup has a thread of its own; how many there are at once is bounded by the
//! guest's [`Network`](super::Network). The end of a thread is seen at a pipe whose other end it holds.
//!
//! Invariant: a name is looked up only if the network permits it; addresses that come of it have been told to the network
//! before the guest sees them.
//!
//! Does not know: the protocol of name servers.

use super::super::poll::{Interest, Watch};
use super::super::stream::Awaited;
use super::error::NetError;
use super::network::{Network, Slot};
use crate::Errno;
use std::fmt::{Debug, Formatter};
use std::io::{PipeReader, PipeWriter};
use std::net::{IpAddr, ToSocketAddrs};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

/// Most addresses of a name that a guest is told.
const ADDRESSES_MAX: usize = 256;
/// Stack of the thread that looks up: the C library's resolver keeps its buffers there.
const THREAD_STACK_BYTES: usize = 512 << 10;

type Resolve = dyn Fn(&str) -> Result<Vec<IpAddr>, NetError> + Send + Sync;

/// Who knows names.
#[derive(Clone)]
pub struct Resolver {
    resolve: Arc<Resolve>,
}

impl Resolver {
    /// The answers of a function, which may take its time.
    pub fn new(resolve: impl Fn(&str) -> Result<Vec<IpAddr>, NetError> + Send + Sync + 'static) -> Resolver {
        Resolver { resolve: Arc::new(resolve) }
    }
}

impl Default for Resolver {
    /// The host's.
    fn default() -> Resolver {
        Resolver::new(|name| match (name, 0).to_socket_addrs() {
            Ok(addresses) => Ok(addresses.map(|address| address.ip()).collect()),
            Err(error) => Err(meaning(&error.to_string())),
        })
    }
}

impl Debug for Resolver {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}

/// What C libraries say, and what it means. The library's number is not to be had through the standard library.
const MEANINGS: &[(&str, NetError)] = &[
    ("Temporary failure", NetError::ResolverTemporary),
    ("Try again", NetError::ResolverTemporary),
    ("Non-recoverable", NetError::ResolverPermanent),
    ("Unrecoverable", NetError::ResolverPermanent),
    ("System error", NetError::ResolverPermanent),
    ("Memory allocation", NetError::Host(Errno::NoMem)),
];

fn meaning(text: &str) -> NetError {
    let row = MEANINGS.iter().find(|(part, _)| text.contains(part));
    row.map_or(NetError::NameUnresolvable, |(_, meaning)| *meaning)
}

/// What comes of a lookup: once, and then address by address.
#[derive(Debug)]
pub struct Lookup {
    shared: Arc<Shared>,
    next: usize,
}

#[derive(Debug, Default)]
struct Shared {
    outcome: Mutex<Option<Result<Vec<IpAddr>, NetError>>>,
    /// At its end when the thread is.
    done: Option<PipeReader>,
}

impl Awaited for Shared {
    fn watch(&self) -> Watch<'_> {
        match &self.done {
            Some(done) => Watch::Host(Interest { fd: done.as_fd(), write: false }),
            None => Watch::Done(Ok(0)),
        }
    }
}

impl Shared {
    fn finish(&self, outcome: Result<Vec<IpAddr>, NetError>) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }
}

impl Lookup {
    /// Starts looking up a name; an address is its own answer.
    pub fn start(network: &Network, name: &str) -> Result<Lookup, NetError> {
        if let Ok(address) = name.parse::<IpAddr>() {
            let shared = Shared::default();
            shared.finish(Ok(vec![address]));
            return Ok(Lookup { shared: Arc::new(shared), next: 0 });
        }
        let name = network.permit_name(name)?;
        let slot = network.take_lookup()?;
        let (done, doing) = std::io::pipe().map_err(|_| NetError::ResolverTemporary)?;
        let shared = Arc::new(Shared { outcome: Mutex::default(), done: Some(done) });
        let work = (shared.clone(), network.clone(), doing, slot);
        std::thread::Builder::new()
            .name("lookup".to_owned())
            .stack_size(THREAD_STACK_BYTES)
            .spawn(move || run(&name, work))
            .map_err(|_| NetError::ResolverTemporary)?;
        Ok(Lookup { shared, next: 0 })
    }

    /// What to wait for.
    pub fn awaited(&self) -> Arc<dyn Awaited> {
        self.shared.clone()
    }

    /// The next address; none after the last one. [`Errno::Again`] while the lookup is under way.
    pub fn next_address(&mut self) -> Result<Option<IpAddr>, NetError> {
        let outcome = self.shared.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let addresses = outcome.as_ref().ok_or(NetError::WOULD_BLOCK)?.as_ref().map_err(|error| *error)?;
        let address = addresses.get(self.next).copied();
        self.next += usize::from(address.is_some());
        Ok(address)
    }
}

fn run(name: &str, (shared, network, doing, slot): (Arc<Shared>, Network, PipeWriter, Slot)) {
    let answer = (network.resolver().resolve)(name);
    let mut kept = Vec::new();
    for address in answer.iter().flatten().copied() {
        // Addresses of IPv4 have one form only.
        let mapped = matches!(address, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some());
        if !mapped && !kept.contains(&address) && kept.len() < ADDRESSES_MAX {
            kept.push(address);
        }
    }
    network.learn(name, kept.iter().copied());
    shared.finish(match answer {
        Err(error) => Err(error),
        Ok(_) if kept.is_empty() => Err(NetError::NameUnresolvable),
        Ok(_) => Ok(kept),
    });
    // The place is free again before anybody can see that the lookup is over.
    drop(slot);
    drop(doing);
}

#[cfg(test)]
mod tests {
    use super::super::network::NetworkLimits;
    use super::super::{Protocol, Rule};
    use super::*;
    use crate::host::stream::Pollable;

    fn network(rules: &[&str], resolver: Resolver, limits: NetworkLimits) -> Network {
        let rules: Vec<Rule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        Network::with_limits(rules, None, limits).with_resolver(resolver)
    }

    /// Waits for a lookup's end; all that it gives.
    fn all(mut lookup: Lookup) -> Result<Vec<String>, NetError> {
        let awaited = Pollable::Awaited(lookup.awaited());
        let clocks = &mut crate::host::clock::Clocks::Host;
        let watch = awaited.watch(clocks).unwrap();
        crate::host::poll::settle(&mut crate::host::clock::Clocks::Host, &[watch]).unwrap();
        let mut addresses = Vec::new();
        while let Some(address) = lookup.next_address()? {
            addresses.push(address.to_string());
        }
        Ok(addresses)
    }

    fn known() -> Resolver {
        Resolver::new(|name| match name {
            "two.test" => {
                Ok(["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1", "2001:db8::1"].map(|a| a.parse().unwrap()).into())
            }
            "none.test" => Ok(Vec::new()),
            "later.test" => Err(NetError::ResolverTemporary),
            _ => Err(NetError::NameUnresolvable),
        })
    }

    #[test]
    fn names_are_looked_up_where_rules_name_them() {
        let check = |rules: &[&str], name: &str, expected: Result<&[&str], NetError>| {
            let network = network(rules, known(), NetworkLimits::default());
            let actual = Lookup::start(&network, name).and_then(all);
            assert_eq!(
                actual.as_ref().map(|list| list.iter().map(String::as_str).collect::<Vec<_>>()).map_err(|e| *e),
                expected.map(<[&str]>::to_vec),
                "{rules:?} {name}"
            );
        };
        let denied = NetError::Host(Errno::Acces);
        check(&["tcp://two.test:80"], "Two.Test", Ok(&["192.0.2.1", "2001:db8::1"]));
        check(&["tcp://two.test:80"], "none.test", Err(denied));
        check(&[], "two.test", Err(denied));
        check(&[], "192.0.2.7", Ok(&["192.0.2.7"]));
        check(&[], "::1", Ok(&["::1"]));
        check(&["*"], "none.test", Err(NetError::NameUnresolvable));
        check(&["*"], "later.test", Err(NetError::ResolverTemporary));
        check(&["*"], "other.test", Err(NetError::NameUnresolvable));
        check(&["*"], "a b", Err(NetError::ARGUMENT));
        check(&["*"], "1.2.3", Err(NetError::ARGUMENT));
    }

    #[test]
    fn the_hosts_resolver_knows_localhost() {
        let network = network(&["*"], Resolver::default(), NetworkLimits::default());
        let addresses = all(Lookup::start(&network, "localhost").unwrap()).unwrap();
        assert!(addresses.iter().all(|address| ["127.0.0.1", "::1"].contains(&address.as_str())), "{addresses:?}");
        assert!(!addresses.is_empty());
    }

    #[test]
    fn answers_are_permitted_at_the_rules_ports() {
        let network = network(&["tcp://two.test:80"], known(), NetworkLimits::default());
        let reach = |port| network.permit_remote(Protocol::Tcp, (IpAddr::from([192, 0, 2, 1]), port).into());
        assert_eq!(reach(80), Err(Errno::Acces));
        all(Lookup::start(&network, "two.test").unwrap()).unwrap();
        assert_eq!((reach(80), reach(81)), (Ok(()), Err(Errno::Acces)));
    }

    #[test]
    fn pending_lookups_are_bounded() {
        let gate = Arc::new(Mutex::new(()));
        let resolver = Resolver::new({
            let gate = gate.clone();
            move |_| {
                drop(gate.lock());
                Ok(vec![[192, 0, 2, 1].into()])
            }
        });
        let limits = NetworkLimits { lookups_max: 2, ..NetworkLimits::default() };
        let network = network(&["*"], resolver, limits);
        let closed = gate.lock().unwrap();
        let mut pending: Vec<_> = (0..2).map(|_| Lookup::start(&network, "a.test").unwrap()).collect();
        assert_eq!(pending[0].next_address(), Err(NetError::WOULD_BLOCK));
        assert_eq!(Lookup::start(&network, "a.test").unwrap_err(), NetError::ResolverTemporary);
        drop(closed);
        for lookup in pending {
            assert_eq!(all(lookup).map(|list| list.len()), Ok(1));
        }
        assert!(Lookup::start(&network, "a.test").is_ok());
    }

    #[test]
    fn messages_of_libraries_are_understood() {
        fn check(text: &str, expected: NetError) {
            assert_eq!(meaning(&format!("failed to lookup address information: {text}")), expected);
        }
        check("Name or service not known", NetError::NameUnresolvable);
        check("No address associated with hostname", NetError::NameUnresolvable);
        check("nodename nor servname provided, or not known", NetError::NameUnresolvable);
        check("Temporary failure in name resolution", NetError::ResolverTemporary);
        check("Non-recoverable failure in name resolution", NetError::ResolverPermanent);
    }
}
