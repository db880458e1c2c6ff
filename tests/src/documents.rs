//! The declarative documents that a test starts a gateway with.

use std::ops::Deref;

/// Documents in YAML, in any order: the gateway applies first what others refer to.
#[derive(Clone, Debug, Default)]
pub struct Documents(String);

impl Documents {
    /// Ann's app `bot` on the gateway `main` of the team `dev`, which has this server at that URL.
    pub fn of(server: &str, url: &str) -> Self {
        Self::over(server, &http(url))
    }

    /// The same with a server over that transport.
    pub fn over(server: &str, transport: &str) -> Self {
        Self::default()
            .team("dev", &["ann"])
            .server(server, transport)
            .app("bot", "ann", &["gateway: main"])
            .gateway("main", "dev", &[&format!("server: {server}")])
    }

    /// The same with a second gateway, `side`, which `bot` is on as well, and with Bob's app `other`
    /// on `main`.
    pub fn of_two_people(server: &str, url: &str) -> Self {
        let assignment = format!("server: {server}");
        Self::default()
            .team("dev", &["ann", "bob"])
            .server(server, &http(url))
            .app("bot", "ann", &["gateway: main", "gateway: side"])
            .app("other", "bob", &["gateway: main"])
            .gateway("side", "dev", &[&assignment])
            .gateway("main", "dev", &[&assignment])
    }

    /// A team and its members, none of whom is in a team that has been added before.
    #[must_use]
    pub fn team(mut self, name: &str, members: &[&str]) -> Self {
        for member in members {
            self = self.add("User", member, "");
        }
        self.add("Team", name, &format!("members: {}\n", list(members)))
    }

    /// A server over a transport: the members of a flow mapping, such as `type: http, url: "…"`.
    #[must_use]
    pub fn server(self, name: &str, transport: &str) -> Self {
        self.add("Server", name, &format!("transport: {{ {transport} }}\nreview: off\n"))
    }

    /// The same with its definitions under review.
    #[must_use]
    pub fn reviewed_server(self, name: &str, transport: &str) -> Self {
        self.add("Server", name, &format!("transport: {{ {transport} }}\nreview: on\n"))
    }

    /// A credential for a server, of a person or of nobody.
    #[must_use]
    pub fn identity(self, name: &str, server: &str, owner: Option<&str>) -> Self {
        let owner = owner.map(|it| format!("owner: {it}\n")).unwrap_or_default();
        let credential = crate::serve::CREDENTIAL.0;
        let headers = format!("headers: {{ Authorization: \"Bearer env:{credential}\" }}\n");
        self.add("Identity", name, &format!("server: {server}\n{owner}{headers}"))
    }

    /// A gateway of a team, with assignments such as `server: files, scheme: own`.
    #[must_use]
    pub fn gateway(self, name: &str, team: &str, assignments: &[&str]) -> Self {
        let assignments = mappings(assignments);
        self.add("Gateway", name, &format!("teams: [{team}]\nassignments:\n{assignments}"))
    }

    /// The rules of the gateway that has been added last, as `name: …, pattern: '…', action: {…}`.
    #[must_use]
    pub fn rules(mut self, rules: &[&str]) -> Self {
        self.0 += &format!("rules:\n{}", mappings(rules));
        self
    }

    /// An app of a person, with connections such as `gateway: main, identities: [one]`.
    #[must_use]
    pub fn app(self, name: &str, owner: &str, connections: &[&str]) -> Self {
        let connections = mappings(connections);
        self.add("App", name, &format!("owner: {owner}\npurpose: a test\ngateways:\n{connections}"))
    }

    fn add(mut self, kind: &str, name: &str, members: &str) -> Self {
        let between = if self.0.is_empty() { "" } else { "---\n" };
        self.0 += &format!("{between}kind: {kind}\nname: {name}\n{members}");
        self
    }
}

impl Deref for Documents {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// The transport of a server at that URL.
pub fn http(url: &str) -> String {
    format!("type: http, url: \"{url}\"")
}

fn mappings(members: &[&str]) -> String {
    members.iter().map(|it| format!("  - {{ {it} }}\n")).collect()
}

fn list(names: &[&str]) -> String {
    format!("[{}]", names.join(", "))
}
