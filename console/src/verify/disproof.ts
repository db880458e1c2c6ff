/** What is checked, in this order. */
export type StepName =
  'key' | 'form' | 'signature' | 'leaf' | 'inclusion' | 'record' | 'shown' | 'continued';

/** Why something is not believed, and at which step that was found. */
export class Disproof extends Error {
  override readonly name = 'Disproof';
  readonly step: StepName;

  constructor(step: StepName, why: string) {
    super(why);
    this.step = step;
  }
}
