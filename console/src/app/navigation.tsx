import {
  Button,
  Menu,
  SegmentedControl,
  UnstyledButton,
  useMantineColorScheme,
} from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useRouter } from '@tanstack/react-router';

import { sessionQuery, useSignOut } from '@/features/session/queries';
import { workspacesQuery } from '@/features/workspaces/queries';
import {
  ApprovalsIcon,
  CheckIcon,
  ChevronIcon,
  GatewayIcon,
  KeyboardIcon,
  LimitIcon,
  Mark,
  MoonIcon,
  RecordsIcon,
  ScreenIcon,
  ServerIcon,
  SignOutIcon,
  SunIcon,
  WorkspaceIcon,
} from '@/ui/icons';
import { showTrouble } from '@/ui/toast';
import { PLACES } from './keyboard';
import classes from './navigation.module.css';
import { usePreference, writePreference } from './preferences';

const ICONS = {
  Servers: ServerIcon,
  Gateways: GatewayIcon,
  Limits: LimitIcon,
  Approvals: ApprovalsIcon,
  Records: RecordsIcon,
};

interface Props {
  workspace: string;
  onHelp: () => void;
}

export function Navigation({ workspace, onHelp }: Props) {
  return (
    <div className={classes.box}>
      <div className={classes.brand}>
        <Mark />
        <span>Ostiary</span>
      </div>
      <WorkspaceSwitcher workspace={workspace} />
      <nav aria-label="Main" className={classes.nav}>
        {PLACES.map(({ name, to }) => {
          const Icon = ICONS[name];
          return (
            <Link key={name} to={to} params={{ workspace }} className={classes.link}>
              <Icon />
              {name}
            </Link>
          );
        })}
      </nav>
      <Settings onHelp={onHelp} />
    </div>
  );
}

function WorkspaceSwitcher({ workspace }: { workspace: string }) {
  const { data } = useQuery(workspacesQuery);
  const navigate = useNavigate();
  const names = data?.items.map((it) => it.name) ?? [workspace];
  return (
    <Menu position="bottom-start" width="target" transitionProps={{ duration: 0 }}>
      <Menu.Target>
        <UnstyledButton className={classes.workspace} aria-label={`Workspace ${workspace}: switch`}>
          <span className={classes.mark}>
            <WorkspaceIcon size={13} />
          </span>
          <span className={classes.name}>{workspace}</span>
          <ChevronIcon size={14} />
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>Workspaces</Menu.Label>
        {names.map((name) => (
          <Menu.Item
            key={name}
            leftSection={name === workspace ? <CheckIcon size={14} /> : <span />}
            onClick={() =>
              void navigate({ to: '/workspaces/$workspace/servers', params: { workspace: name } })
            }
          >
            {name}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

function Settings({ onHelp }: { onHelp: () => void }) {
  const { data: session } = useQuery(sessionQuery);
  const signOut = useSignOut();
  const router = useRouter();
  // Transitions stay, since stopping them needs an inline style element.
  const { colorScheme, setColorScheme } = useMantineColorScheme({ keepTransitions: true });
  const times = usePreference('times');
  return (
    <div className={classes.settings}>
      <SegmentedControl
        size="xs"
        fullWidth
        aria-label="Colours"
        value={colorScheme}
        onChange={(value) => setColorScheme(value === 'light' || value === 'dark' ? value : 'auto')}
        transitionDuration={0}
        data={[
          { value: 'light', label: <Choice icon={<SunIcon size={14} />} name="Light" /> },
          { value: 'dark', label: <Choice icon={<MoonIcon size={14} />} name="Dark" /> },
          { value: 'auto', label: <Choice icon={<ScreenIcon size={14} />} name="As the system" /> },
        ]}
      />
      <SegmentedControl
        size="xs"
        fullWidth
        aria-label="Times"
        value={times}
        onChange={(value) => writePreference('times', value)}
        transitionDuration={0}
        data={[
          { value: 'local', label: 'Local time' },
          { value: 'utc', label: 'UTC' },
        ]}
      />
      <Button
        variant="subtle"
        color="gray"
        justify="flex-start"
        leftSection={<KeyboardIcon />}
        onClick={onHelp}
      >
        Shortcuts
      </Button>
      <Button
        variant="subtle"
        color="gray"
        justify="flex-start"
        leftSection={<SignOutIcon />}
        loading={signOut.isPending}
        onClick={() =>
          signOut.mutate(undefined, {
            onSuccess: () => void router.navigate({ to: '/sign-in' }),
            onError: (error) => showTrouble('Signing out failed', error),
          })
        }
      >
        <span className={classes.name} title={session?.name}>
          Sign out
        </span>
      </Button>
    </div>
  );
}

function Choice({ icon, name }: { icon: React.ReactNode; name: string }) {
  return (
    <span className={classes.choice} title={name}>
      {icon}
      <span className={classes.hidden}>{name}</span>
    </span>
  );
}
