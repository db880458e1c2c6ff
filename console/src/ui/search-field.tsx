import { Kbd, TextInput } from '@mantine/core';

import { usePreference } from '@/app/preferences';
import { SearchIcon } from './icons';

interface Props {
  label: string;
  value: string;
  onChange: (value: string) => void;
}

/** Narrows a list. `/` puts the cursor here. */
export function SearchField({ label, value, onChange }: Props) {
  const hasShortcuts = usePreference('shortcuts') === 'on';
  return (
    <TextInput
      type="search"
      w={220}
      maw="100%"
      aria-label={label}
      placeholder={label}
      value={value}
      data-search
      leftSection={<SearchIcon size={14} />}
      rightSection={hasShortcuts && value === '' ? <Kbd size="xs">/</Kbd> : null}
      onChange={(event) => onChange(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.key === 'Escape' && value !== '') {
          event.preventDefault();
          event.stopPropagation();
          onChange('');
        }
      }}
    />
  );
}
