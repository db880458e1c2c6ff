/**
 * What there is to know of one thing: what it is, who it is for, what it did, what was done to it,
 * and the same as a document, a command and a request. Which of these is open stands in the URL.
 */
import { Link, useSearch } from '@tanstack/react-router';
import { lazy, type ReactNode, Suspense } from 'react';

import { type Many, NOUNS } from './nouns';
import classes from './object-page.module.css';
import { TableSkeleton } from '@/ui/table-skeleton';

const Records = lazy(() => import('./records-tab').then((it) => ({ default: it.RecordsTab })));
const Yaml = lazy(() => import('./yaml-tab').then((it) => ({ default: it.YamlTab })));
const Asked = lazy(() => import('./api-tab').then((it) => ({ default: it.ApiTab })));

const TABS = ['overview', 'access', 'activity', 'audit', 'yaml', 'api'] as const;
type Tab = (typeof TABS)[number];

const WORDS: Record<Tab, string> = {
  overview: 'Overview',
  access: 'Access',
  activity: 'Activity',
  audit: 'Audit',
  yaml: 'YAML',
  api: 'API',
};

interface Props {
  workspace: string;
  many: Many;
  name: string;
  overview: ReactNode;
  access?: ReactNode;
  /** No call is about it. */
  hasNoCalls?: boolean;
}

export function ObjectTabs({ workspace, many, name, ...props }: Props) {
  const { tab: wanted } = useSearch({ strict: false });
  const isThere = (it: Tab) =>
    (it !== 'access' || props.access !== undefined) && (it !== 'activity' || !props.hasNoCalls);
  const tabs = TABS.filter(isThere);
  const tab = tabs.find((it) => it === wanted) ?? 'overview';
  const of = { workspace, many, name };
  return (
    <>
      <nav className={classes.tabs} aria-label={`About ${NOUNS[many].one} ${name}`}>
        {tabs.map((it) => (
          <Link
            key={it}
            to="."
            search={(old) => ({ ...old, tab: it === 'overview' ? undefined : it })}
            className={classes.tab}
            // Of two tabs that differ in the search alone only one is open.
            activeOptions={{ exact: true, includeSearch: true }}
            data-tab={it === tab ? 'open' : ''}
            replace
          >
            {WORDS[it]}
          </Link>
        ))}
      </nav>
      <Suspense fallback={<TableSkeleton />}>
        {tab === 'overview' && <div className={classes.content}>{props.overview}</div>}
        {tab === 'access' && <div className={classes.content}>{props.access}</div>}
        {tab === 'activity' && <Records {...of} what="calls" />}
        {tab === 'audit' && <Records {...of} what="acts" />}
        {tab === 'yaml' && <Yaml {...of} />}
        {tab === 'api' && <Asked {...of} />}
      </Suspense>
    </>
  );
}
