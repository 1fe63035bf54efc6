//! Where a recipient belongs: exactly one domain or static partner (model.md 5, 7).

use std::collections::{BTreeMap, HashMap};

use super::claims::Claims;
use crate::clock::SignedDuration;
use crate::div::Abroad;
use crate::pmode::{Envelope, Scope, Service};
use crate::status::{EvidenceProfile, Policy};
use crate::store::PARTNER;

/// Every route of a node.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    /// Domains and partners.
    routes: Vec<Route>,
    /// E-addresses that follow no rule.
    addresses: BTreeMap<String, String>,
    /// Places of routes by name.
    names: HashMap<String, usize>,
    claims: Claims,
}

/// One domain or static partner, as the business side sees it.
#[derive(Debug, Clone)]
pub struct Route {
    /// Domain name, or `partner:<PartyId>`.
    pub name: String,
    /// Participants that belong to it, `scheme::value`, a trailing `*` for all that begin so.
    pub participants: Vec<String>,
    /// Codes after the `@` of an e-address that mean it.
    pub gateway_codes: Vec<String>,
    /// Participant identifier scheme of e-addresses.
    pub scheme: String,
    /// Document type when the submission names none.
    pub document_type: Option<String>,
    /// Process when the submission names none.
    pub process: Option<String>,
    /// Form of DIV messages.
    pub form: Form,
    /// What was agreed, with a partner in its first agreement.
    pub terms: Terms,
    /// What was agreed in the others, in their order.
    pub other_terms: Vec<Terms>,
    /// Until when a message may be sent, from its submission.
    pub send_within: Option<SignedDuration>,
    /// How long a recipient has to take a message; sent along.
    pub take_within: Option<SignedDuration>,
}

/// What new recipients get from an agreement or a domain.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// Which messages it is about.
    pub scope: Scope,
    /// Business envelope that the network demands.
    pub envelope: Envelope,
    /// Evidence profile.
    pub profile: EvidenceProfile,
    /// Policy.
    pub policy: Policy,
}

impl Route {
    /// The terms of a message: those of the agreement that it will be sent under. One that none is about will not be sent, and
    /// has those of the first.
    pub fn terms_of(&self, message: &Scope) -> &Terms {
        let service = message.service.clone().unwrap_or_default();
        let action = message.action.as_deref().unwrap_or_default();
        self.all_terms().find(|terms| terms.scope.covers(&service, action)).unwrap_or(&self.terms)
    }

    /// Whoever names a service without its type means that of the agreement about it and the action, unless one is about it without a type.
    pub fn typed(&self, service: Service, action: Option<&str>) -> Service {
        if service.service_type.is_some() {
            return service;
        }
        let about = |terms: &&Terms| terms.scope.action.is_none() || terms.scope.action.as_deref() == action;
        let agreed = self.all_terms().filter(about).filter_map(|terms| terms.scope.service.as_ref());
        let same: Vec<&Service> = agreed.filter(|agreed| agreed.value == service.value).collect();
        match same.first() {
            Some(first) if !same.contains(&&service) => (*first).clone(),
            _ => service,
        }
    }

    fn all_terms(&self) -> impl Iterator<Item = &Terms> {
        std::iter::once(&self.terms).chain(&self.other_terms)
    }
}

/// Form in which a DIV message travels (model.md 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The envelope, then the files.
    Div,
    /// The files alone.
    Plain,
}

/// Why a recipient cannot be routed. It fails alone (model.md 5).
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum Unroutable {
    /// No domain or partner claims the participant.
    #[error("no [[domain]] or [[partner]] is responsible for participant {0:?}")]
    Participant(String),
    /// The code after the `@` is unknown.
    #[error(
        "no [[domain]] has the gateway code {code:?} of the address {address:?}, and no [[address]] names it"
    )]
    GatewayCode {
        /// The whole address.
        address: String,
        /// What stands after its `@`.
        code: String,
    },
    /// The address has no form that we know.
    #[error("the address {0:?} is neither <icd>.<value>@<gateway code> nor named by an [[address]]")]
    Address(String),
    /// The submission asked for a route that does not exist.
    #[error("there is no [[domain]] or [[partner]] named {0:?}")]
    Route(String),
}

impl Routes {
    /// Of these domains and partners, and e-addresses that follow no rule.
    pub fn new(routes: Vec<Route>, addresses: BTreeMap<String, String>) -> Self {
        let (mut names, mut claims) = (HashMap::new(), Claims::default());
        for (place, route) in routes.iter().enumerate() {
            names.entry(route.name.clone()).or_insert(place);
            route.participants.iter().for_each(|pattern| claims.add(pattern, place));
        }
        Self { routes, addresses, names, claims }
    }

    /// E-addresses that follow no rule, and the participants that they mean.
    pub fn addresses(&self) -> &BTreeMap<String, String> {
        &self.addresses
    }

    /// The route of a participant; `asked` is what the submission says.
    ///
    /// # Errors
    /// [`Unroutable`].
    pub fn participant(&self, participant: &str, asked: Option<&str>) -> Result<&Route, Unroutable> {
        match asked {
            Some(name) => self.named(name),
            None => {
                let found = self.claims.of(participant).and_then(|place| self.routes.get(place));
                found.ok_or_else(|| Unroutable::Participant(participant.into()))
            }
        }
    }

    /// The route of that name: a domain, or a partner with or without the prefix.
    ///
    /// # Errors
    /// [`Unroutable::Route`].
    pub fn named(&self, name: &str) -> Result<&Route, Unroutable> {
        let place = self.names.get(name).or_else(|| self.names.get(&format!("{PARTNER}{name}")));
        let found = place.and_then(|place| self.routes.get(*place));
        found.ok_or_else(|| Unroutable::Route(name.into()))
    }

    /// Participant and route of an e-address: `<icd>.<value>@<gateway code>` means `<scheme>::<icd>:<value>`; anything else by
    /// table (model.md 5).
    ///
    /// # Errors
    /// [`Unroutable`].
    pub fn eaddress(&self, address: &str) -> Result<(String, &Route), Unroutable> {
        let listed = self.addresses.iter().find(|(listed, _)| listed.eq_ignore_ascii_case(address));
        if let Some((_, participant)) = listed {
            return Ok((participant.clone(), self.participant(participant, None)?));
        }
        let unknown = || Unroutable::Address(address.into());
        let Abroad { icd, value, code } = Abroad::parse(address).ok_or_else(unknown)?;
        let means = |r: &&Route| r.gateway_codes.iter().any(|c| c.eq_ignore_ascii_case(code));
        let route = self.routes.iter().find(means);
        let route =
            route.ok_or_else(|| Unroutable::GatewayCode { address: address.into(), code: code.into() })?;
        Ok((format!("{}::{icd}:{value}", route.scheme), route))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Routes {
        let routes = vec![Route {
            name: "ee".into(),
            participants: vec!["iso6523-actorid-upis::0191:*".into()],
            gateway_codes: vec!["ee".into()],
            scheme: "iso6523-actorid-upis".into(),
            document_type: None,
            process: None,
            form: Form::Div,
            terms: terms(EvidenceProfile::Rem, None),
            other_terms: Vec::new(),
            send_within: Some(SignedDuration::from_hours(1)),
            take_within: None,
        }];
        Routes::new(routes, [("odd".to_owned(), "iso6523-actorid-upis::0191:7".to_owned())].into())
    }

    fn terms(profile: EvidenceProfile, action: Option<&str>) -> Terms {
        let scope = Scope { service: None, action: action.map(str::to_owned) };
        Terms { scope, envelope: Envelope::None, profile, policy: Policy::for_profile(profile) }
    }

    #[test]
    fn the_agreement_that_is_about_a_message_says_what_its_statuses_follow_from() {
        let profiles = [EvidenceProfile::Rem, EvidenceProfile::ReceiptOnly];
        let mut route = routes().named("ee").unwrap().clone();
        route.terms = terms(profiles[0], Some("letter"));
        route.other_terms = vec![terms(profiles[1], Some("invoice"))];
        let of = |action: &str| route.terms_of(&Scope { service: None, action: Some(action.into()) }).profile;
        assert_eq!(["letter", "invoice", "other"].map(of), [profiles[0], profiles[1], profiles[0]]);
    }

    #[test]
    fn an_eaddress_means_a_participant() {
        let routes = routes();
        let (participant, route) = routes.eaddress("0191.12.34@EE").unwrap();
        assert_eq!((participant.as_str(), route.name.as_str()), ("iso6523-actorid-upis::0191:12.34", "ee"));
        assert_eq!(routes.eaddress("odd").unwrap().0, "iso6523-actorid-upis::0191:7");
        assert_eq!(routes.eaddress("ODD").unwrap().0, "iso6523-actorid-upis::0191:7", "letters of any case");
        assert_eq!(routes.eaddress("nobody").unwrap_err(), Unroutable::Address("nobody".into()));
        assert!(matches!(routes.eaddress("0191.1@xx"), Err(Unroutable::GatewayCode { .. })));
        assert!(matches!(routes.participant("a::b", None), Err(Unroutable::Participant(_))));
        assert!(matches!(routes.participant("a::b", Some("zz")), Err(Unroutable::Route(_))));
        assert_eq!(routes.participant("ISO6523-actorid-upis::0191:5", None).unwrap().name, "ee");
        assert_eq!(routes.participant("a::b", Some("ee")).unwrap().name, "ee");
    }

    #[test]
    fn a_service_without_a_type_has_that_of_the_agreement() {
        let mut route = routes().routes.remove(0);
        let service = |value: &str, kind: Option<&str>| Service {
            value: value.to_owned(),
            service_type: kind.map(str::to_owned),
        };
        let about = |kind, action| Terms {
            scope: Scope { service: Some(service("v", kind)), action },
            ..terms(EvidenceProfile::Rem, None)
        };
        let [x, y, z] = ["X", "Y", "Z"].map(|action| Some(action.to_owned()));
        route.other_terms =
            vec![about(Some("t1"), x), about(None, y), about(Some("t2"), z.clone()), about(Some("t3"), z)];
        for (value, kind, action, meant) in [
            ("v", None, "X", Some("t1")),
            ("v", None, "Y", None),
            ("v", None, "Z", Some("t2")),
            ("v", Some("t9"), "X", Some("t9")),
            ("v", None, "other", None),
            ("w", None, "X", None),
        ] {
            assert_eq!(route.typed(service(value, kind), Some(action)), service(value, meant), "{action}");
        }
    }
}
