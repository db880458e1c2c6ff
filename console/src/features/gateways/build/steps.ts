/** The steps in which a gateway is built, in their order. */
export const STEPS = [
  { step: 'servers', name: 'Servers' },
  { step: 'tools', name: 'Tools' },
  { step: 'identities', name: 'Identities' },
  { step: 'rules', name: 'Rules' },
  { step: 'teams', name: 'Teams' },
  { step: 'preview', name: 'Preview' },
] as const;

export type Step = (typeof STEPS)[number]['step'];

/** What stands in the address of the builder. */
export interface BuildSearch {
  step?: Step | undefined;
  /** What tools are searched for, and how they are grouped. */
  q?: string | undefined;
  by?: 'risk' | undefined;
  /** The app whose lists are looked at. */
  as?: string | undefined;
}
