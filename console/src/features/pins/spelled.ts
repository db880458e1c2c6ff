/**
 * Values of definitions as the gateway spells them: JSON, in which characters that are not seen stand
 * as `\\u{…}`. They are read back as they are, since `Visible` shows them better.
 */

/** A value as text for a person: strings as they are, all else as JSON in lines. */
export function textOf(spelled: string): string {
  const value = read(spelled);
  if (value === undefined) return spelled;
  return typeof value === 'string' ? value : JSON.stringify(value, undefined, 2);
}

/** The value; nothing where it cannot be read, which is shown as it is spelled then. */
export function read(spelled: string): unknown {
  try {
    return JSON.parse(
      spelled.replaceAll(/\\(?:u\{([0-9a-fA-F]{1,6})\}|[\s\S])/g, unspelled),
    ) as unknown;
  } catch {
    return undefined;
  }
}

/** What begins with two backslashes is a backslash, whatever follows. */
function unspelled(found: string, digits: string | undefined): string {
  if (digits === undefined) return found;
  const code = Number.parseInt(digits, 16);
  if (code > 0x10_ff_ff) return '\\ufffd';
  return JSON.stringify(String.fromCodePoint(code)).slice(1, -1);
}
