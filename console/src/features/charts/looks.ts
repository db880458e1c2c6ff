/** How lines are told apart: by more than their colours. */
const COLOURS = ['accent', 'good', 'warn', 'bad', 'token', 'muted'] as const;
const DASHES: readonly (readonly number[])[] = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 5], [14, 4]];

export function looksOf(at: number) {
  const colour = COLOURS[at % COLOURS.length] ?? 'accent';
  const dash = DASHES[(Math.floor(at / COLOURS.length) + at) % DASHES.length] ?? [];
  return { colour, dash: [...dash] };
}
