import {
  Button,
  Kbd,
  SegmentedControl,
  UnstyledButton,
  useMantineColorScheme,
} from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useRouter } from '@tanstack/react-router';

import { sessionQuery, useSignOut } from '@/features/session/queries';
import {
  AccountIcon,
  KeyboardIcon,
  Mark,
  MoonIcon,
  ScreenIcon,
  SearchIcon,
  SignOutIcon,
  SunIcon,
} from '@/ui/icons';
import { showTrouble } from '@/ui/toast';
import classes from './navigation.module.css';
import { GROUPS, type Place } from './places';
import { usePreference, writePreference } from './preferences';
import { WorkspaceSwitcher } from './workspace-switcher';

interface Props {
  workspace: string;
  places: Place[];
  onHelp: () => void;
  onPalette: () => void;
}

export function Navigation({ workspace, places, onHelp, onPalette }: Props) {
  return (
    <div className={classes.box}>
      <div className={classes.brand}>
        <Mark />
        <span>Ostiary</span>
      </div>
      <WorkspaceSwitcher workspace={workspace} />
      <UnstyledButton className={classes.find} onClick={onPalette}>
        <SearchIcon size={14} />
        <span className={classes.name}>Find anything</span>
        <Kbd size="xs">Ctrl K</Kbd>
      </UnstyledButton>
      <nav aria-label="Main" className={classes.nav}>
        {GROUPS.map((group) => (
          <Group key={group} name={group} places={places} workspace={workspace} />
        ))}
      </nav>
      <Settings onHelp={onHelp} />
    </div>
  );
}

interface GroupProps {
  name: Place['group'];
  places: Place[];
  workspace: string;
}

function Group({ name, places, workspace }: GroupProps) {
  const own = places.filter((it) => it.group === name);
  if (own.length === 0) return null;
  return (
    <div className={classes.group} role="group" aria-label={name}>
      <div className={classes.groupName} aria-hidden="true">
        {name}
      </div>
      {own.map(({ name, to, icon: Icon }) => (
        <Link key={name} to={to} params={{ workspace }} className={classes.link}>
          <Icon />
          {name}
        </Link>
      ))}
    </div>
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
        leftSection={<AccountIcon />}
        onClick={() => void router.navigate({ to: '/account' })}
      >
        Your account
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
