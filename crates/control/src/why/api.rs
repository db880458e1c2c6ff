//! `/why`.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use domain::ports::Gate as _;
use domain::{Assignment, Capability, Effect, Gateway, Object, Subject, User, Workspace};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Answer, Link, acts, calls};
use crate::App;
use crate::api::{
    CapabilityText, Error, InWorkspace, Json, Problem, Query, Ref, RefText, Rights, ScopeText,
};
use crate::labels::EffectText;
use crate::role_grants::OnText;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(show_why))
}

/// Either about a call, with `gateway`, or about an administrative act, with `capability`.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WhyQuery {
    /// Whose apps call, or who administers.
    #[param(value_type = Option<RefText>)]
    user: Option<Ref>,
    /// Which app calls.
    #[param(value_type = Option<RefText>)]
    app: Option<Ref>,
    /// Where it calls.
    #[param(value_type = Option<RefText>)]
    gateway: Option<Ref>,
    /// What it calls, as `alias/tool`, by the server's own name.
    #[param(pattern = "^[a-z](-?[a-z0-9])*/.{1,1024}$")]
    tool: Option<String>,
    /// From which address; from anywhere where absent.
    #[param(value_type = Option<String>, pattern = "^[0-9A-Fa-f:.]{2,45}$")]
    from: Option<IpAddr>,
    /// What the tool does by its annotations, for policies, where its server has not been listed yet:
    /// `read`, `write` or `destructive`.
    effect: Option<EffectText>,
    /// Such as `servers:write`.
    #[param(value_type = Option<CapabilityText>)]
    capability: Option<Capability>,
    /// `workspace`, which is meant where this is absent, or `gateway/main`, `server/jira`,
    /// `team/dev`.
    #[param(value_type = Option<ScopeText>)]
    on: Option<OnText>,
}

/// Why, or why not.
#[derive(Serialize, ToSchema)]
struct Why {
    /// Whether one of the answers is yes.
    allowed: bool,
    /// One for each app that may be meant.
    answers: Vec<Answer>,
}

impl<S: Send + Sync> FromRequestParts<S> for WhyQuery {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let Query(query) = Query::<Self>::from_request_parts(parts, state).await?;
        Ok(query)
    }
}

/// Why somebody can or cannot call something or administer something.
#[utoipa::path(
    get,
    path = "/why",
    params(WhyQuery),
    responses((status = 200, body = Why), (status = "4XX", body = Problem)),
    extensions(("x-capability" = json!("any"))),
    tag = "why",
)]
async fn show_why(
    State(app): State<Arc<App>>,
    workspace: InWorkspace,
    query: WhyQuery,
) -> Result<Json<Why>, Error> {
    let snapshot = app.gate.current().await.map_err(|_| Error::Busy)?;
    let here = snapshot.config.workspace(workspace.id);
    let here = here.ok_or_else(|| workspace.reference().not_found("workspace"))?;
    let rights = &workspace.rights;
    let answers = match query {
        WhyQuery {
            user: Some(user),
            app: None,
            gateway: None,
            tool: None,
            from: None,
            effect: None,
            capability,
            on,
        } => {
            let help = || Error::Malformed("ask about a `gateway` or about a `capability`".into());
            let capability = capability.ok_or_else(help)?;
            let user = find_user(rights, here, &user)?;
            let on = on.unwrap_or_default();
            let object = object(here, &on)?;
            let on_text = String::from(on.clone());
            let question =
                acts::Question { workspace: here, user, capability, object, on: on_text };
            let answer = question.answer();
            if !answer.allowed {
                // What one may do shows what it is about; else one must see that.
                see(rights, &question.object, &on)?;
            }
            vec![answer]
        }
        WhyQuery {
            user,
            app: asked,
            gateway: Some(gateway),
            tool,
            from,
            effect,
            capability: None,
            on: None,
        } => {
            let gateway = find_gateway(rights, here, &gateway)?;
            let tool = tool.as_deref().map(|it| find_tool(gateway, it)).transpose()?;
            let general =
                calls::Question::in_general(&snapshot, here, gateway, tool, app.clock.now());
            let question = calls::Question {
                address: from,
                offers: app.offers.get().map(AsRef::as_ref),
                hints: effect.map(|it| Effect::from(it).hints()),
                ..general
            };
            let decided = match (user, asked) {
                (None, Some(app)) => vec![question.answer(find_app(rights, here, &app)?)],
                (Some(user), None) => of_user(rights, &question, &user)?,
                _ => return Err(Error::Malformed("ask about a `user` or about an `app`".into())),
            };
            let mut answers = Vec::with_capacity(decided.len());
            for (answer, subject) in decided {
                answers.push(match subject {
                    Some(subject) if question.tool.is_some() => {
                        limited(&app, &question, answer, &subject).await?
                    }
                    _ => answer,
                });
            }
            answers
        }
        _ => {
            let help = "ask about a call, with `user` or `app` and `gateway` and perhaps `tool`, \
                        or about an administrator, with `user`, `capability` and perhaps `on`";
            return Err(Error::Malformed(help.into()));
        }
    };
    Ok(Json(Why { allowed: answers.iter().any(|it| it.allowed), answers }))
}

/// One answer for each app that the user owns and that may be looked at.
fn of_user(
    rights: &Rights,
    question: &calls::Question<'_>,
    user: &Ref,
) -> Result<Vec<(Answer, Option<Subject>)>, Error> {
    let here = question.workspace;
    let found = here.users.values().find(|it| user.means(it.id.0, &it.name));
    let found = found.ok_or_else(|| user.not_found("user"))?;
    rights.require(Capability::PeopleRead, &Object::User(found.id), ("user", user))?;
    let is_theirs = |it: &&domain::App| {
        let object = Object::App { owner: it.owner };
        it.owner == found.id && rights.may(Capability::AppsRead, &object)
    };
    let mut apps: Vec<_> = here.apps.values().filter(is_theirs).collect();
    apps.sort_by(|one, other| one.name.cmp(&other.name));
    if apps.is_empty() {
        let because = format!("user `{}` has no app that could call", found.name);
        let chain = vec![Link::new("app", "none", &because)];
        return Ok(vec![(Answer::denied(None, because, chain), None)]);
    }
    Ok(apps.into_iter().map(|it| question.answer(it)).collect())
}

/// Whether the limits that a call is under have room for it, each a link of the chain.
async fn limited(
    app: &App,
    question: &calls::Question<'_>,
    mut answer: Answer,
    subject: &Subject,
) -> Result<Answer, Error> {
    let (here, gateway) = (question.workspace, question.gateway);
    let own = here.users.values().find(|it| it.id == subject.user).map(|it| &it.teams);
    let teams = own.map(|it| it & &gateway.teams).unwrap_or_default();
    let mut tx = app.db.read().await?;
    for limit in &here.limits {
        for holder in limit.holders(here.id, subject, &teams) {
            let used = app.accounts.used_by(&mut tx, here.id, limit, &holder).await?;
            if used < limit.allowance.most() {
                answer.chain.push(Link::new("limit", &limit.name, "it has room"));
                continue;
            }
            let because = format!("the limit `{}` allows no more at the moment", limit.name);
            answer.chain.push(Link::new("limit", &limit.name, "what it allows is used up"));
            return Ok(Answer::denied(answer.app, because, answer.chain));
        }
    }
    Ok(answer)
}

/// Users may ask about themselves.
fn find_user<'a>(rights: &Rights, here: &'a Workspace, user: &Ref) -> Result<&'a User, Error> {
    let found = here.users.values().find(|it| user.means(it.id.0, &it.name));
    if found.is_some_and(|it| rights.user() == Some(it.id)) {
        return found.ok_or_else(|| user.not_found("user"));
    }
    rights.require_on_workspace(Capability::RolesRead)?;
    found.ok_or_else(|| user.not_found("user"))
}

fn find_app<'a>(rights: &Rights, here: &'a Workspace, app: &Ref) -> Result<&'a domain::App, Error> {
    let found = here.apps.values().find(|it| app.means(it.id.0, &it.name));
    let found = found.ok_or_else(|| app.not_found("app"))?;
    let object = Object::App { owner: found.owner };
    rights.require(Capability::AppsRead, &object, ("app", app))?;
    Ok(found)
}

fn find_gateway<'a>(
    rights: &Rights,
    here: &'a Workspace,
    gateway: &Ref,
) -> Result<&'a Gateway, Error> {
    let found = here.gateways.values().find(|it| gateway.means(it.id.0, &it.name));
    let found = found.ok_or_else(|| gateway.not_found("gateway"))?;
    let object = Object::Gateway { id: found.id, teams: found.teams.clone() };
    rights.require(Capability::GatewaysRead, &object, ("gateway", gateway))?;
    Ok(found)
}

fn find_tool<'a>(gateway: &'a Gateway, text: &'a str) -> Result<(&'a Assignment, &'a str), Error> {
    let malformed = || Error::Malformed("name a tool as `alias/tool`".into());
    let (alias, tool) = text.split_once('/').ok_or_else(malformed)?;
    let found = gateway.assignments.iter().find(|it| it.alias.as_str() == alias);
    let missing = || Error::NotFound { kind: "assignment", name: alias.to_owned() };
    Ok((found.ok_or_else(missing)?, tool))
}

/// What may not be seen is not there.
fn see(rights: &Rights, object: &Object, on: &OnText) -> Result<(), Error> {
    let (needed, kind, named) = match on {
        OnText::Workspace => return Ok(()),
        OnText::Gateway(it) => (Capability::GatewaysRead, "gateway", it),
        OnText::Server(it) => (Capability::ServersRead, "server", it),
        OnText::Team(it) => (Capability::PeopleRead, "team", it),
    };
    if rights.may(needed, object) { Ok(()) } else { Err(named.not_found(kind)) }
}

fn object(here: &Workspace, on: &OnText) -> Result<Object, Error> {
    match on {
        OnText::Workspace => Ok(Object::Workspace),
        OnText::Gateway(it) => {
            let found = here.gateways.values().find(|own| it.means(own.id.0, &own.name));
            let found = found.ok_or_else(|| it.not_found("gateway"))?;
            Ok(Object::Gateway { id: found.id, teams: found.teams.clone() })
        }
        OnText::Server(it) => {
            let found = here.servers.values().find(|own| it.means(own.id.0, &own.name));
            Ok(Object::Server(found.ok_or_else(|| it.not_found("server"))?.id))
        }
        OnText::Team(it) => {
            let found = here.teams.iter().find(|(id, name)| it.means(id.0, name));
            Ok(Object::Team(*found.ok_or_else(|| it.not_found("team"))?.0))
        }
    }
}
