/**
 * Foreign text, shown as it is.
 *
 * Names, descriptions and errors come from servers and clients that may wish to deceive. What has
 * no shape of its own (zero-width, bidirectional, tag and control characters, odd spaces) becomes a
 * token that can be seen, and what is right-to-left stays inside its own box. It is always text.
 */
import classes from './visible.module.css';

const UNSEEN = new RegExp(
  [
    // Control, format, line and paragraph separators, lone surrogates, private, unassigned.
    String.raw`[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]`,
    // Spaces that are no space.
    String.raw`(?! )\p{Zs}`,
    // Letters and marks that are drawn as nothing.
    String.raw`[\u034F\u115F\u1160\u17B4\u17B5\u180B-\u180F\u2800\u3164\uFE00-\uFE0F\uFFA0]`,
    String.raw`[\u{E0100}-\u{E01EF}]`,
  ].join('|'),
  'gu',
);

export interface Piece {
  text: string;
  /** Set for what cannot be seen: the token to show in its place. */
  token?: string;
}

/** Cuts a text into what can be seen and tokens for what cannot. */
export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(UNSEEN)) {
    if (match.index > end) found.push({ text: text.slice(end, match.index) });
    found.push({ text: match[0], token: tokenOf(match[0]) });
    end = match.index + match[0].length;
  }
  if (end < text.length) found.push({ text: text.slice(end) });
  return found;
}

export function Visible({ text }: { text: string }) {
  const parts = pieces(text);
  if (parts.length === 1 && !parts[0]?.token) return <bdi>{text}</bdi>;
  return (
    <bdi>
      {parts.map((part, place) =>
        part.token ? (
          // The order of pieces is what tells them apart.
          // oxlint-disable-next-line react/no-array-index-key
          <span key={place} className={classes.token} title={`invisible: ${part.token}`}>
            {part.token}
          </span>
        ) : (
          part.text
        ),
      )}
    </bdi>
  );
}

function tokenOf(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  const short = SHORT.get(code);
  if (short) return short;
  // Tag characters spell ASCII that only a model reads.
  if (code >= 0xe0020 && code <= 0xe007e) return `tag ${String.fromCodePoint(code - 0xe0000)}`;
  return `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
}

const SHORT = new Map([
  [0x09, '\\t'],
  [0x0a, '\\n'],
  [0x0d, '\\r'],
  [0x1b, 'ESC'],
  [0xa0, 'NBSP'],
]);
