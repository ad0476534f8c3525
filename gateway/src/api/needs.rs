//! What each route asks of who calls it, said where the route is.

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter};
use model::{OutboxId, Sequence};
use records::Numbers;

use super::{Side, quick_replies};
use crate::config::{Scope, Scopes};

/// What a request needs besides a right token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// To read.
    Read,
    /// To answer customers.
    Send,
    /// The same for what a person does, too: written into the audit log before it is done where whoever asks may also
    /// look after the box. A program that only sends has its own record of it.
    SendOrAct(On),
    /// To look after the box, without changing anything.
    Look,
    /// To look after the box: written into the audit log before it is done.
    Act(On),
    /// The same for what may be the only remedy of a box whose disk refuses: where the audit log can't be
    /// written, it is done all the same.
    Mend,
}

/// What the part of the path in braces is, as the audit log has it: nothing that isn't of these shapes is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    /// There is none.
    Box,
    /// The outbox id of a message.
    Message,
    /// The sequence of a dead letter.
    Letter,
    /// A `phone_number_id` of the configuration.
    Number,
    /// The name of a quick reply.
    Reply,
}

impl Needs {
    pub(super) const fn scope(self) -> Scope {
        match self {
            Self::Read => Scope::Read,
            Self::Send | Self::SendOrAct(_) => Scope::Send,
            Self::Look | Self::Act(_) | Self::Mend => Scope::Operate,
        }
    }

    /// Whether it is written into the audit log when somebody does it who may do so much.
    pub(super) fn is_audited(self, by: Scopes) -> bool {
        match self {
            Self::Read | Self::Send | Self::Look => false,
            Self::SendOrAct(_) => by.has(Scope::Operate),
            Self::Act(_) | Self::Mend => true,
        }
    }

    /// What the part of its path in braces is.
    pub(super) const fn on(self) -> On {
        match self {
            Self::SendOrAct(on) | Self::Act(on) => on,
            Self::Read | Self::Send | Self::Look | Self::Mend => On::Box,
        }
    }
}

impl On {
    /// `given` where the path has braces, decoded as the handler gets it, if it is what it should be. Nobody can put
    /// anything else into the audit log by asking for it: no phone, no wamid.
    pub(super) fn target(self, given: &str, numbers: &Numbers) -> Option<String> {
        let fits = match self {
            Self::Box => false,
            Self::Message => OutboxId::parse(given).is_some(),
            Self::Letter => given.parse::<Sequence>().is_ok(),
            Self::Number => numbers.has(given),
            Self::Reply => quick_replies::is_name(given),
        };
        fits.then(|| given.to_owned())
    }
}

/// The methods of a route, each with what it needs.
#[derive(Default)]
pub(super) struct Methods {
    router: MethodRouter<Side>,
    needs: Vec<(Method, Needs)>,
}

/// None yet.
pub(super) fn on() -> Methods {
    Methods::default()
}

impl Methods {
    pub(super) fn get<H: Handler<T, Side>, T: 'static>(self, needs: Needs, handler: H) -> Self {
        self.with(Method::GET, MethodFilter::GET, needs, handler)
    }

    pub(super) fn post<H: Handler<T, Side>, T: 'static>(self, needs: Needs, handler: H) -> Self {
        self.with(Method::POST, MethodFilter::POST, needs, handler)
    }

    pub(super) fn put<H: Handler<T, Side>, T: 'static>(self, needs: Needs, handler: H) -> Self {
        self.with(Method::PUT, MethodFilter::PUT, needs, handler)
    }

    pub(super) fn delete<H: Handler<T, Side>, T: 'static>(self, needs: Needs, handler: H) -> Self {
        self.with(Method::DELETE, MethodFilter::DELETE, needs, handler)
    }

    fn with<H: Handler<T, Side>, T: 'static>(
        mut self,
        method: Method,
        filter: MethodFilter,
        needs: Needs,
        handler: H,
    ) -> Self {
        self.needs.push((method, needs));
        self.router = self.router.on(filter, handler);
        self
    }
}

/// What every route needs, by its template and method.
#[derive(Debug, Default)]
pub(super) struct Needed(Vec<(&'static str, Vec<(Method, Needs)>)>);

impl Needed {
    /// Takes the routes apart.
    pub(super) fn of(routes: Vec<(&'static str, Methods)>) -> (Self, Router<Side>) {
        let mut needed = Self::default();
        let mut router = Router::new();
        for (path, methods) in routes {
            needed.0.push((path, methods.needs));
            router = router.route(path, methods.router);
        }
        (needed, router)
    }

    /// What a request for the route `template` needs; `None` where it has no such method, or there is no such route.
    pub(super) fn find(&self, template: &str, method: &Method) -> Option<Needs> {
        // As axum answers it.
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let (_, methods) = self.0.iter().find(|(path, _)| *path == template)?;
        methods.iter().find(|(known, _)| known == method).map(|(_, needs)| *needs)
    }

    /// Every route with its methods.
    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, &Method, Needs)> {
        self.0
            .iter()
            .flat_map(|(path, methods)| methods.iter().map(|(method, needs)| (*path, method, *needs)))
    }
}
