/**
 * How each client is told of a gateway, in that client's own form.
 *
 * Nothing here holds a token: a client reads it from its environment, asks for it, or signs in. What
 * is made comes from names that the gateway has told, and is refused where they are anything else.
 */
import { quote } from '@/features/changes/call';

/** A gateway as clients are told of it. Only `placeOf` makes one. */
export interface Place {
  /** What clients call it. */
  readonly name: string;
  readonly url: string;
}

/** As the API has names: nothing that ends a word, a path, a command or a line, and nothing unseen. */
const NAME = /^[a-z](?:-?[a-z0-9])*$/;

function isName(text: string): boolean {
  return NAME.test(text) && text.length <= 63;
}

/** Nothing where a name is none, or the origin is no web address. */
export function placeOf(origin: string, workspace: string, gateway: string): Place | null {
  if (!/^https?:\/\/[^\s/?#@\\]+$/.test(origin) || !isName(workspace) || !isName(gateway))
    return null;
  return { name: gateway, url: `${origin}/mcp/${workspace}/${gateway}` };
}

export interface Snippet {
  /** What is done with it, in a few words. */
  title: string;
  /** What it is, for the button that copies it. */
  what: string;
  text: string;
  /** Set where it is saved: the name of the file. */
  file?: string;
}

export interface Client {
  id: string;
  name: string;
  /** What will be written where, or what to press. */
  note: string;
  /** Opens the client, which asks before it adds anything. */
  link?: (place: Place) => string;
  snippets: (place: Place) => Snippet[];
}

/** Where clients read the token; its value is nowhere here. */
const VARIABLE = 'OSTIARY_TOKEN';

const EXPORT: Snippet = {
  title: 'The token, in the environment from which the client is started',
  what: 'export',
  text: `export ${VARIABLE}=…`,
};

export const CLIENTS: Client[] = [
  {
    id: 'claude-code',
    name: 'Claude Code',
    note: 'The command writes to your own settings; the file is for a project that is shared.',
    snippets: (place) => [
      EXPORT,
      {
        title: 'In a terminal',
        what: 'command',
        text: `claude mcp add --transport http ${place.name} ${quote(place.url)} --header "Authorization: Bearer $${VARIABLE}"`,
      },
      {
        title: 'Or for everybody in a project',
        what: 'file',
        file: '.mcp.json',
        text: json({ mcpServers: { [place.name]: remote(place, `\${${VARIABLE}}`) } }),
      },
    ],
  },
  {
    id: 'claude-desktop',
    name: 'Claude Desktop',
    note: 'It starts the bridge, a program beside it, which needs the token and no URL of its own.',
    snippets: (place) => [
      {
        title: 'Settings, Developer, Edit config; with the program by its full path',
        what: 'file',
        file: 'claude_desktop_config.json',
        text: json({
          mcpServers: {
            [place.name]: {
              command: '/usr/local/bin/ostiary',
              args: ['bridge', '--token-file', '/home/you/.ostiary-token', place.url],
            },
          },
        }),
      },
    ],
  },
  {
    id: 'cursor',
    name: 'Cursor',
    note: 'The link adds the entry to ~/.cursor/mcp.json, after Cursor has asked.',
    link: (place) => {
      const config = base64(
        JSON.stringify({ url: place.url, headers: headers(`\${env:${VARIABLE}}`) }),
      );
      return `cursor://anysphere.cursor-deeplink/mcp/install?name=${encodeURIComponent(place.name)}&config=${encodeURIComponent(config)}`;
    },
    snippets: (place) => [
      EXPORT,
      {
        title: 'Or the file itself',
        what: 'file',
        file: 'mcp.json',
        text: json({
          mcpServers: {
            [place.name]: { url: place.url, headers: headers(`\${env:${VARIABLE}}`) },
          },
        }),
      },
    ],
  },
  {
    id: 'vscode',
    name: 'VS Code',
    note: 'The link adds the server to your profile. With the file, VS Code asks for the token and keeps it.',
    link: (place) =>
      `vscode:mcp/install?${encodeURIComponent(JSON.stringify({ name: place.name, type: 'http', url: place.url }))}`,
    snippets: (place) => [
      {
        title: 'For a project',
        what: 'file',
        file: '.vscode/mcp.json',
        text: json({
          inputs: [
            {
              type: 'promptString',
              id: 'ostiary-token',
              description: `Token for ${place.name}`,
              password: true,
            },
          ],
          servers: { [place.name]: remote(place, '${input:ostiary-token}') },
        }),
      },
    ],
  },
  {
    id: 'gemini',
    name: 'Gemini CLI',
    note: 'The command writes to ~/.gemini/settings.json, the token with it; the file reads it from the environment.',
    snippets: (place) => [
      EXPORT,
      {
        title: 'In ~/.gemini/settings.json',
        what: 'file',
        file: 'settings.json',
        text: json({
          mcpServers: {
            [place.name]: { httpUrl: place.url, headers: headers(`$${VARIABLE}`) },
          },
        }),
      },
      {
        title: 'Or in a terminal',
        what: 'command',
        text: `gemini mcp add --scope user --transport http --header "Authorization: Bearer $${VARIABLE}" ${place.name} ${quote(place.url)}`,
      },
    ],
  },
  {
    id: 'codex',
    name: 'Codex',
    note: 'Both write to ~/.codex/config.toml the name of the variable, never the token.',
    snippets: (place) => [
      EXPORT,
      {
        title: 'In a terminal',
        what: 'command',
        text: `codex mcp add ${place.name} --url ${quote(place.url)} --bearer-token-env-var ${VARIABLE}`,
      },
      {
        title: 'Or in the file',
        what: 'file',
        file: 'config.toml',
        text: `[mcp_servers.${place.name}]\nurl = ${JSON.stringify(place.url)}\nbearer_token_env_var = "${VARIABLE}"\n`,
      },
    ],
  },
  {
    id: 'windsurf',
    name: 'Windsurf',
    note: 'Settings, Cascade, MCP servers; press refresh there after the file has changed.',
    snippets: (place) => [
      EXPORT,
      {
        title: 'In ~/.codeium/windsurf/mcp_config.json',
        what: 'file',
        file: 'mcp_config.json',
        text: json({
          mcpServers: {
            [place.name]: { serverUrl: place.url, headers: headers(`\${env:${VARIABLE}}`) },
          },
        }),
      },
    ],
  },
  {
    id: 'chatgpt',
    name: 'ChatGPT',
    note: 'Settings, Connectors, Advanced, Developer mode; then Create, with this URL. ChatGPT sends no token of yours: it needs a gateway that it can sign in to, reachable by HTTPS from outside.',
    snippets: (place) => [{ title: 'Connector URL', what: 'URL', text: place.url }],
  },
  {
    id: 'generic',
    name: 'Any other client',
    note: 'Streamable HTTP at this URL, with the token as a bearer token.',
    snippets: (place) => [
      { title: 'URL', what: 'URL', text: place.url },
      {
        title: 'As many clients read it',
        what: 'file',
        file: 'mcp.json',
        text: json({ mcpServers: { [place.name]: remote(place, `\${${VARIABLE}}`) } }),
      },
      {
        title: 'Where a client can only start a program',
        what: 'command',
        text: `ostiary bridge ${quote(place.url)}`,
      },
    ],
  },
];

/** By what a browser says of the machine nothing is known of clients; by the last calls something is. */
export function clientOf(userAgent: string): Client | undefined {
  const said = userAgent.toLowerCase();
  return CLIENTS.find((it) => AGENTS[it.id]?.some((word) => said.includes(word)));
}

const AGENTS: Partial<Record<string, string[]>> = {
  'claude-code': ['claude-code', 'claude-cli'],
  'claude-desktop': ['claude-ai', 'claude desktop'],
  cursor: ['cursor'],
  vscode: ['visual studio code', 'vscode'],
  gemini: ['gemini-cli'],
  codex: ['codex'],
  windsurf: ['windsurf'],
  chatgpt: ['openai-mcp', 'chatgpt'],
};

function remote(place: Place, token: string) {
  return { type: 'http', url: place.url, headers: headers(token) };
}

function headers(token: string) {
  return { Authorization: `Bearer ${token}` };
}

function json(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function base64(text: string): string {
  return btoa(String.fromCodePoint(...new TextEncoder().encode(text)));
}
