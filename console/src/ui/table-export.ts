/** What a table shows, as a file. Foreign text stays text, also in a spreadsheet. */

export interface Field<T> {
  name: string;
  value: (row: T) => unknown;
}

/** RFC 4180. What a spreadsheet would run as a formula is marked as text. */
export function toCsv<T>(fields: Field<T>[], rows: T[]): string {
  const lines = rows.map((row) => fields.map((field) => cell(field.value(row))));
  return [fields.map((field) => cell(field.name)), ...lines]
    .map((line) => `${line.join(',')}\r\n`)
    .join('');
}

export function toJson(rows: unknown[]): string {
  return `${JSON.stringify(rows, undefined, 2)}\n`;
}

export function save(name: string, type: string, text: string) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken it by the next turn.
  setTimeout(() => URL.revokeObjectURL(url), 0);
}

function cell(value: unknown): string {
  const text =
    value === null || value === undefined
      ? ''
      : typeof value !== 'string'
        ? JSON.stringify(value)
        : value;
  const safe = /^[=+\-@\t\r]/.test(text) && typeof value !== 'number' ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
