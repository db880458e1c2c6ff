//! Every route states who may call it.

use std::collections::BTreeMap;

use super::routes;

/// Every route, and who may call it. A route without a row here fails the build, not the
/// customer.
const GUARDS: &[(&str, &str, &str)] = &[
    ("get", "/admin-tokens", "admin"),
    ("delete", "/admin-tokens/{admin_token}", "admin"),
    ("get", "/openapi.json", "public"),
    ("delete", "/session", "admin"),
    ("get", "/session", "admin"),
    ("post", "/session", "public"),
    ("get", "/workspaces", "admin"),
    ("post", "/workspaces", "admin"),
    ("delete", "/workspaces/{workspace}", "admin"),
    ("get", "/workspaces/{workspace}", "admin"),
    ("patch", "/workspaces/{workspace}", "admin"),
    ("post", "/workspaces/{workspace}/apply", "admin"),
    ("get", "/workspaces/{workspace}/apps", "admin"),
    ("post", "/workspaces/{workspace}/apps", "admin"),
    ("delete", "/workspaces/{workspace}/apps/{app}", "admin"),
    ("get", "/workspaces/{workspace}/apps/{app}", "admin"),
    ("patch", "/workspaces/{workspace}/apps/{app}", "admin"),
    ("get", "/workspaces/{workspace}/apps/{app}/connections", "admin"),
    ("post", "/workspaces/{workspace}/apps/{app}/connections", "admin"),
    ("delete", "/workspaces/{workspace}/apps/{app}/connections/{connection}", "admin"),
    ("get", "/workspaces/{workspace}/apps/{app}/connections/{connection}", "admin"),
    ("patch", "/workspaces/{workspace}/apps/{app}/connections/{connection}", "admin"),
    ("get", "/workspaces/{workspace}/apps/{app}/tokens", "admin"),
    ("post", "/workspaces/{workspace}/apps/{app}/tokens", "admin"),
    ("delete", "/workspaces/{workspace}/apps/{app}/tokens/{token}", "admin"),
    ("get", "/workspaces/{workspace}/apps/{app}/tokens/{token}", "admin"),
    ("get", "/workspaces/{workspace}/connections", "admin"),
    ("get", "/workspaces/{workspace}/cutoffs", "admin"),
    ("post", "/workspaces/{workspace}/cutoffs", "admin"),
    ("post", "/workspaces/{workspace}/diff", "admin"),
    ("get", "/workspaces/{workspace}/export", "admin"),
    ("get", "/workspaces/{workspace}/gateways", "admin"),
    ("post", "/workspaces/{workspace}/gateways", "admin"),
    ("delete", "/workspaces/{workspace}/gateways/{gateway}", "admin"),
    ("get", "/workspaces/{workspace}/gateways/{gateway}", "admin"),
    ("patch", "/workspaces/{workspace}/gateways/{gateway}", "admin"),
    ("get", "/workspaces/{workspace}/gateways/{gateway}/assignments", "admin"),
    ("post", "/workspaces/{workspace}/gateways/{gateway}/assignments", "admin"),
    ("delete", "/workspaces/{workspace}/gateways/{gateway}/assignments/{assignment}", "admin"),
    ("get", "/workspaces/{workspace}/gateways/{gateway}/assignments/{assignment}", "admin"),
    ("patch", "/workspaces/{workspace}/gateways/{gateway}/assignments/{assignment}", "admin"),
    ("get", "/workspaces/{workspace}/gateways/{gateway}/rules", "admin"),
    ("post", "/workspaces/{workspace}/gateways/{gateway}/rules", "admin"),
    ("delete", "/workspaces/{workspace}/gateways/{gateway}/rules/{rule}", "admin"),
    ("get", "/workspaces/{workspace}/gateways/{gateway}/rules/{rule}", "admin"),
    ("patch", "/workspaces/{workspace}/gateways/{gateway}/rules/{rule}", "admin"),
    ("delete", "/workspaces/{workspace}/gateways/{gateway}/teams/{team}", "admin"),
    ("put", "/workspaces/{workspace}/gateways/{gateway}/teams/{team}", "admin"),
    ("get", "/workspaces/{workspace}/identities", "admin"),
    ("post", "/workspaces/{workspace}/identities", "admin"),
    ("delete", "/workspaces/{workspace}/identities/{identity}", "admin"),
    ("get", "/workspaces/{workspace}/identities/{identity}", "admin"),
    ("patch", "/workspaces/{workspace}/identities/{identity}", "admin"),
    ("get", "/workspaces/{workspace}/limits", "admin"),
    ("post", "/workspaces/{workspace}/limits", "admin"),
    ("delete", "/workspaces/{workspace}/limits/{limit}", "admin"),
    ("get", "/workspaces/{workspace}/limits/{limit}", "admin"),
    ("patch", "/workspaces/{workspace}/limits/{limit}", "admin"),
    ("get", "/workspaces/{workspace}/limits/{limit}/usage", "admin"),
    ("get", "/workspaces/{workspace}/records", "admin"),
    ("get", "/workspaces/{workspace}/records/stream", "admin"),
    ("get", "/workspaces/{workspace}/records/{index}/proof", "admin"),
    ("post", "/workspaces/{workspace}/restores", "admin"),
    ("get", "/workspaces/{workspace}/servers", "admin"),
    ("post", "/workspaces/{workspace}/servers", "admin"),
    ("delete", "/workspaces/{workspace}/servers/{server}", "admin"),
    ("get", "/workspaces/{workspace}/servers/{server}", "admin"),
    ("patch", "/workspaces/{workspace}/servers/{server}", "admin"),
    ("get", "/workspaces/{workspace}/teams", "admin"),
    ("post", "/workspaces/{workspace}/teams", "admin"),
    ("delete", "/workspaces/{workspace}/teams/{team}", "admin"),
    ("get", "/workspaces/{workspace}/teams/{team}", "admin"),
    ("patch", "/workspaces/{workspace}/teams/{team}", "admin"),
    ("delete", "/workspaces/{workspace}/teams/{team}/members/{user}", "admin"),
    ("put", "/workspaces/{workspace}/teams/{team}/members/{user}", "admin"),
    ("get", "/workspaces/{workspace}/users", "admin"),
    ("post", "/workspaces/{workspace}/users", "admin"),
    ("delete", "/workspaces/{workspace}/users/{user}", "admin"),
    ("get", "/workspaces/{workspace}/users/{user}", "admin"),
    ("patch", "/workspaces/{workspace}/users/{user}", "admin"),
];

#[test]
fn every_route_states_who_may_call_it() {
    let mut known: BTreeMap<(String, String), bool> = BTreeMap::new();
    for route in routes() {
        let is_public = route.operation.security.is_none();
        known.insert((route.method.as_str().to_lowercase(), route.path), is_public);
    }
    for (method, path, guard) in GUARDS {
        let found = known.remove(&((*method).to_owned(), format!("/api/v1{path}")));
        assert_eq!(found, Some(*guard == "public"), "{method} {path}");
    }
    assert_eq!(known, BTreeMap::new(), "routes without a row");
}
