/**
 * The frame of one thing's page: what it is, who it is for, what it did, what was done to it, and
 * the same as a document, a command and a request. Which of these is open stands in the URL.
 */
import { ActionIcon, Menu } from '@mantine/core';
import { Link, useSearch } from '@tanstack/react-router';
import { lazy, type ReactNode, Suspense } from 'react';

import { TableSkeleton } from '@/ui/data-table';
import { BackIcon, DotsIcon } from '@/ui/icons';
import { Page } from '@/ui/page';
import { type Deed, DeedList } from '@/ui/row-menu';
import { type Many, NOUNS } from './nouns';
import classes from './object-page.module.css';

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
  /** How it is, in a word. */
  state?: ReactNode;
  /** The one thing that is done most often; `e` presses it where it is marked. */
  tools?: ReactNode;
  deeds?: Deed[];
  dialog?: ReactNode;
  overview: ReactNode;
  access?: ReactNode;
}

export function ObjectPage({ workspace, many, name, ...props }: Props) {
  const { tab: wanted } = useSearch({ strict: false });
  const tabs = TABS.filter((it) => it !== 'access' || props.access !== undefined);
  const tab = tabs.find((it) => it === wanted) ?? 'overview';
  const of = { workspace, many, name };
  return (
    <Page
      title={name}
      trail={
        <Link to=".." className={classes.back}>
          <BackIcon size={14} /> {titleOf(many)}
        </Link>
      }
      aside={props.state}
      tools={
        <>
          {props.tools}
          {props.deeds && <Actions name={name} deeds={props.deeds} />}
        </>
      }
    >
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
      {props.dialog}
      <Suspense fallback={<TableSkeleton />}>
        {tab === 'overview' && <div className={classes.content}>{props.overview}</div>}
        {tab === 'access' && <div className={classes.content}>{props.access}</div>}
        {tab === 'activity' && <Records {...of} what="calls" />}
        {tab === 'audit' && <Records {...of} what="acts" />}
        {tab === 'yaml' && <Yaml {...of} />}
        {tab === 'api' && <Asked {...of} />}
      </Suspense>
    </Page>
  );
}

function Actions({ name, deeds }: { name: string; deeds: Deed[] }) {
  if (deeds.length === 0) return null;
  return (
    <Menu position="bottom-end" transitionProps={{ duration: 0 }}>
      <Menu.Target>
        <ActionIcon variant="default" size={30} data-actions aria-label={`Actions for ${name}`}>
          <DotsIcon />
        </ActionIcon>
      </Menu.Target>
      <DeedList deeds={deeds} />
    </Menu>
  );
}

function titleOf(many: Many): string {
  const words = many.replaceAll('-', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}
