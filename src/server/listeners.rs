//! The sockets of all listeners, bound before anything is served.

use super::handover::{Predecessor, Sockets};
use super::listen::{BindError, Bound};
use crate::config::{Listen, ServerSettings};

/// Sockets bound and ready to be served.
pub struct Listeners {
    pub(super) public: Vec<Bound>,
    pub(super) auth: Vec<Bound>,
    pub(super) redirect: Vec<Bound>,
    pub(super) admin: Option<Bound>,
    pub(super) predecessor: Option<Predecessor>,
}

impl Listeners {
    /// Binds every address of `[server]`, or says which ones cannot be.
    pub fn bind(server: &ServerSettings) -> Result<Self, Vec<BindError>> {
        Self::open(server, Vec::new())
    }

    /// As `bind`, going on with the sockets of the process this one replaces.
    pub fn take_over(server: &ServerSettings) -> std::io::Result<Result<Self, Vec<BindError>>> {
        let (predecessor, sockets) = Predecessor::of_this_process()?;
        let listeners = Self::open(server, sockets);
        Ok(listeners.map(|listeners| Self { predecessor: Some(predecessor), ..listeners }))
    }

    fn open(server: &ServerSettings, mut inherited: Sockets) -> Result<Self, Vec<BindError>> {
        let mut errors = Vec::new();
        let mut bind = |listen: &Listen| {
            let name = listen.to_string();
            let known = inherited.iter().position(|(inherited, _)| *inherited == name);
            let socket = known.map(|index| inherited.remove(index).1);
            Bound::new(listen, socket).map_err(|error| errors.push(error)).ok()
        };
        let public = server.listen.iter().filter_map(&mut bind).collect();
        let auth = server.auth.iter().filter_map(&mut bind).collect();
        let redirect = server.redirect.iter().filter_map(&mut bind).collect();
        let admin = server.admin.as_ref().and_then(&mut bind);
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self { public, auth, redirect, admin, predecessor: None })
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Bound> {
        self.public.iter().chain(&self.auth).chain(&self.redirect).chain(&self.admin)
    }

    /// The addresses as bound: the real ports where the file says port 0.
    pub fn addresses(&self) -> impl Iterator<Item = String> {
        self.public.iter().map(Bound::address)
    }

    pub fn auth_addresses(&self) -> impl Iterator<Item = String> {
        self.auth.iter().map(Bound::address)
    }

    pub fn redirect_addresses(&self) -> impl Iterator<Item = String> {
        self.redirect.iter().map(Bound::address)
    }

    pub fn admin_address(&self) -> Option<String> {
        self.admin.as_ref().map(Bound::address)
    }
}
