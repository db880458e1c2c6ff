import { ThingsPage } from '@/features/objects/things-page';
import { TEAMS } from './room';

/** The groups of people of a workspace. */
export function TeamsPage() {
  return <ThingsPage room={TEAMS} />;
}
