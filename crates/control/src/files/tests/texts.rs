//! One workspace as people write it and as it is exported.

/// Everything that files can say, written as people write.
pub(super) const TEXT: &str = r#"
kind: Gateway
name: main
teams: [dev]
assignments:
  - server: jira
    scheme: shared
    identity: jira-bot
    tools: {expose: named, names: [search, get]}
  - server: jira
    alias: own-jira
    scheme: own
    enabled: false
rules:
  - name: mail
    pattern: '[a-z]+@[a-z]+\.example'
    action: {type: mask, keep_last: 4}
  - name: keys
    pattern: 'sk-[0-9]+'
    on_request: false
    tools: [jira_search]
    action: {type: block, message: no keys here}
---
kind: Workspace
name: default
durability: synced
---
kind: User
name: ann
---
kind: User
name: bob
enabled: false
---
kind: Team
name: dev
members: [ann]
---
kind: Server
name: jira
transport:
  type: http
  url: https://jira.example/mcp
---
kind: Server
name: files
transport: {type: stdio, command: npx, args: ["-y", "server-files", "/srv"], env: {DEBUG: "1"}}
era: legacy
---
kind: Identity
name: jira-bot
server: jira
headers: {Authorization: "Bearer env:JIRA_TOKEN"}
---
kind: Identity
name: ann-jira
server: jira
owner: ann
headers: {X-Key: "file:/run/secrets/ann"}
---
kind: App
name: bot
owner: ann
purpose: sorts tickets
gateways:
  - gateway: main
    identities: [ann-jira]
---
kind: Limit
name: each-app
scope: {type: app}
unit: calls
allowance: {type: rate, amount: 600, per: minute, burst: 20}
---
kind: Limit
name: searches
scope: {type: tool, server: jira, tool: search}
unit: tokens
allowance: {type: quota, amount: 100000, per: month}
gateway: main
"#;

/// The same as an export writes it.
pub(super) const EXPORT: &str = r#"kind: Workspace
name: default
durability: synced
---
kind: User
name: ann
groups: []
---
kind: User
name: bob
groups: []
enabled: false
---
kind: Team
name: dev
members:
  - ann
---
kind: Server
name: files
transport:
  type: stdio
  command: npx
  args:
    - "-y"
    - server-files
    - "/srv"
  env:
    DEBUG: "1"
era: legacy
tasks: relay
roots: false
review: "on"
labels: []
tool_labels: {}
pins: []
---
kind: Server
name: jira
transport:
  type: http
  url: "https://jira.example/mcp"
era: auto
tasks: relay
roots: false
review: "on"
labels: []
tool_labels: {}
pins: []
---
kind: Identity
name: ann-jira
server: jira
owner: ann
headers:
  x-key: "vault:"
---
kind: Identity
name: jira-bot
server: jira
headers:
  authorization: "vault:"
---
kind: Gateway
name: main
teams:
  - dev
assignments:
  - server: jira
    scheme: shared
    identity: jira-bot
    tools:
      expose: named
      names:
        - get
        - search
    prompts:
      expose: all
    resources:
      expose: all
  - server: jira
    alias: own-jira
    scheme: own
    tools:
      expose: all
    prompts:
      expose: all
    resources:
      expose: all
    enabled: false
rules:
  - name: mail
    pattern: "[a-z]+@[a-z]+\\.example"
    on_request: true
    on_response: true
    action:
      type: mask
      keep_last: 4
    observe_only: false
  - name: keys
    pattern: "sk-[0-9]+"
    on_request: false
    on_response: true
    tools:
      - jira_search
    action:
      type: block
      message: "no keys here"
    observe_only: false
---
kind: App
name: bot
owner: ann
purpose: "sorts tickets"
labels: []
gateways:
  - gateway: main
    identities:
      - ann-jira
---
kind: Limit
name: each-app
scope:
  type: app
unit: calls
allowance:
  type: rate
  amount: 600
  per: minute
  burst: 20
---
kind: Limit
name: searches
scope:
  type: tool
  server: jira
  tool: search
unit: tokens
direction: both
allowance:
  type: quota
  amount: 100000
  per: month
gateway: main
"#;
