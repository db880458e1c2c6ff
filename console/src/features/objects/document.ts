/** Finds the document of one thing in an export, which has one for each, `kind` and `name` first. */
export function documentOf(text: string, kind: string, name: string): string | null {
  const found = text.split(/^---\n/m).find((document) => {
    const [first, second] = document.split('\n');
    return valueOf(first, 'kind') === kind && valueOf(second, 'name') === name;
  });
  return found?.trimEnd() ?? null;
}

function valueOf(line: string | undefined, member: string): string | null {
  const value = new RegExp(`^${member}: (.*)$`).exec(line ?? '')?.[1];
  return value?.replaceAll(/^["']|["']$/g, '') ?? null;
}
