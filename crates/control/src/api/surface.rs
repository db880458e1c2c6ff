//! All routes, and the document that describes them.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse as _;
use axum::{Router, middleware};
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::PartialSchema as _;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, ObjectBuilder, OpenApi, RefOr, Required, Schema, Type,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::guard::{self, Guard};
use super::needs::Table;
use super::{Error, Problem, RefText, problem};
use crate::{
    App, accounts, apps, assignments, changes, connections, files, gateways, idempotency,
    identities, limits, me, overview, pins, policies, records, replicas, role_grants, roles, rules,
    series, servers, session, switches, teams, tokens, user_admin_tokens, users, why, workspaces,
};

/// No request of the admin API is larger.
pub(crate) const BODY_BYTES: usize = 1024 * 1024;

/// But for those that carry a whole workspace: thousands of objects. What is parsed takes a multiple
/// of it, for anybody who is signed in.
const FILES_BYTES: usize = 4 * 1024 * 1024;

/// The routes, ready to be merged into the program's own.
pub(crate) fn router(app: Arc<App>) -> Router {
    let once = middleware::from_fn_with_state(Arc::clone(&app), idempotency::once);
    let (files, _) = in_workspace(files::routes()).split_for_parts();
    let (private, _) = private_routes().split_for_parts();
    let (own, _) = own_routes().split_for_parts();
    let document = private_document();
    let guard = Guard { app: Arc::clone(&app), needs: Arc::new(Table::of(&document)) };
    let guarded = middleware::from_fn_with_state(guard, guard::guard);
    let (public, _) = public_routes().split_for_parts();
    let files = files.route_layer(once.clone()).route_layer(guarded.clone());
    let api = Router::new()
        .merge(private.route_layer(once).route_layer(guarded.clone()))
        // Nothing is kept of requests that hold passwords.
        .merge(own.route_layer(guarded))
        .merge(files.layer(DefaultBodyLimit::max(FILES_BYTES)))
        .merge(public.route_layer(middleware::from_fn(session::own_pages_only)))
        .fallback(|| async { Error::NoRoute })
        .method_not_allowed_fallback(|| async { Error::Method })
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), problem::number))
        .layer(header_layer(header::CACHE_CONTROL, "no-store"))
        .layer(header_layer(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .with_state(app);
    Router::new().nest("/api/v1", api)
}

/// The document at `/api/v1/openapi.json`.
pub(crate) fn openapi() -> OpenApi {
    let mut document = private_document();
    let (_, public) = public_routes().split_for_parts();
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            operation.security = Some(vec![
                SecurityRequirement::new("token", [""; 0]),
                SecurityRequirement::new("session", [""; 0]),
            ]);
        }
    }
    document.merge(public);
    let paths = std::mem::take(&mut document.paths.paths);
    for (path, mut item) in paths {
        for operation in operations(&mut item) {
            add_path_parameters(&path, operation);
            name_problems(operation);
        }
        if path.starts_with("/workspaces") {
            add_conditions(&mut item);
        }
        document.paths.paths.insert(format!("/api/v1{path}"), item);
    }
    document.info = InfoBuilder::new()
        .title("Ostiary admin API")
        .version("1")
        .description(Some("Only grows; errors are problem documents (RFC 9457)."))
        .build();
    let components = document.components.get_or_insert_with(|| ComponentsBuilder::new().build());
    components.schemas.values_mut().for_each(close);
    components.add_security_scheme(
        "token",
        SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()),
    );
    components.add_security_scheme(
        "session",
        SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("__Host-ostiary"))),
    );
    document
}

/// What needs an administrator: all of it.
fn private_document() -> OpenApi {
    let (_, mut document) = private_routes().split_for_parts();
    document.merge(own_routes().split_for_parts().1);
    document.merge(in_workspace(files::routes()).split_for_parts().1);
    document
}

fn in_workspace(routes: OpenApiRouter<Arc<App>>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().nest("/workspaces/{workspace}", routes)
}

/// What whoever is signed in has to do with that.
fn own_routes() -> OpenApiRouter<Arc<App>> {
    accounts::private_routes().merge(session::private_routes())
}

/// What needs an administrator, but for that and for files.
fn private_routes() -> OpenApiRouter<Arc<App>> {
    let inside = OpenApiRouter::new()
        .merge(apps::routes())
        .merge(assignments::routes())
        .merge(changes::routes())
        .merge(connections::routes())
        .merge(gateways::routes())
        .merge(identities::routes())
        .merge(limits::routes())
        .merge(me::routes())
        .merge(overview::routes())
        .merge(pins::routes())
        .merge(policies::routes())
        .merge(records::routes())
        .merge(role_grants::routes())
        .merge(roles::routes())
        .merge(rules::routes())
        .merge(series::routes())
        .merge(servers::routes())
        .merge(switches::routes())
        .merge(teams::routes())
        .merge(accounts::routes())
        .merge(tokens::routes())
        .merge(user_admin_tokens::routes())
        .merge(users::routes())
        .merge(why::routes());
    OpenApiRouter::new()
        .merge(policies::schema_routes())
        .merge(records::installation_routes())
        .merge(replicas::routes())
        .merge(workspaces::routes())
        .merge(in_workspace(inside))
}

/// What does not.
fn public_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(accounts::public_routes())
        .merge(session::public_routes())
        .routes(routes!(show_openapi))
}

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json"),
              (status = "4XX", body = Problem)),
    tag = "openapi",
)]
async fn show_openapi() -> axum::response::Response {
    axum::Json(openapi()).into_response()
}

fn header_layer(
    name: header::HeaderName,
    value: &'static str,
) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete]
        .into_iter()
        .filter_map(Option::as_mut)
}

/// What every change takes, so no handler has to say it again.
fn add_conditions(item: &mut PathItem) {
    let changes = [&mut item.put, &mut item.patch, &mut item.delete].into_iter().flatten();
    for operation in changes {
        let text = "Entity tags, or `*`: the change is made only while one of them is current.";
        let parameter = header_parameter("If-Match", text, CONDITION);
        operation.parameters.get_or_insert_default().push(parameter);
    }
    if let Some(operation) = &mut item.post {
        let text = "A text of the caller's choice, in quotes. Sent again within a day, with the \
                    same body, it gets the same answer, and nothing is done again.";
        let parameter = header_parameter("Idempotency-Key", text, KEY);
        operation.parameters.get_or_insert_default().push(parameter);
    }
}

const CONDITION: &str = r#"^(\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*")*)$"#;
const KEY: &str = r#"^("[ !#-\[\]-~]{1,255}"|[!#-\[\]-~]([ !#-\[\]-~]{0,253}[!#-\[\]-~])?)$"#;

fn header_parameter(name: &str, text: &str, pattern: &str) -> RefOr<Parameter> {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(text))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).build()))
        .build()
        .into()
}

/// Unknown members are refused in what is told apart by its `type`, too.
fn close(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::OneOf(one_of)) = schema else { return };
    for item in &mut one_of.items {
        if let RefOr::T(Schema::Object(object)) = item
            && object.additional_properties.is_none()
        {
            object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
        }
    }
}

/// Refusals are problem documents by their media type, too, and may be our fault.
fn name_problems(operation: &mut Operation) {
    let answers = &mut operation.responses.responses;
    if let Some(RefOr::T(refusal)) = answers.get_mut("4XX") {
        "What the caller can do something about.".clone_into(&mut refusal.description);
        if let Some(content) = refusal.content.shift_remove("application/json") {
            refusal.content.insert("application/problem+json".into(), content);
        }
        let mut ours = refusal.clone();
        "What the caller cannot.".clone_into(&mut ours.description);
        answers.insert("5XX".into(), ours.into());
    }
}

/// Every `{name}` of an address is a name or an id, so no handler has to say it again.
fn add_path_parameters(path: &str, operation: &mut Operation) {
    let names = path.split('/').filter_map(|it| it.strip_prefix('{')?.strip_suffix('}'));
    let parameters = operation.parameters.get_or_insert_default();
    let known: Vec<String> = parameters
        .iter()
        .filter_map(|it| match it {
            RefOr::T(parameter) => Some(parameter),
            RefOr::Ref(_) => None,
        })
        .filter(|it| matches!(it.parameter_in, ParameterIn::Path))
        .map(|it| it.name.clone())
        .collect();
    let missing = names.filter(|it| !known.iter().any(|known| known == it));
    let added: Vec<RefOr<Parameter>> = missing
        .map(|name| {
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(RefText::schema()))
                .build()
                .into()
        })
        .collect();
    parameters.splice(0..0, added);
}
