import { PasswordInput } from '@mantine/core';

/** The gateway's own bounds; what else it refuses it says itself. */
const SHORTEST = 12;

export function checkPassword(password: string): string | null {
  // Counted as the gateway counts, in code points.
  return Array.from(password).length < SHORTEST ? `Take at least ${SHORTEST} characters` : null;
}

type Props = Omit<React.ComponentProps<typeof PasswordInput>, 'label' | 'description'>;

export function NewPasswordInput(props: Props) {
  return (
    <PasswordInput
      label="New password"
      description="At least 12 characters. A few words are easy to remember and hard to guess."
      autoComplete="new-password"
      visibilityToggleButtonProps={{ 'aria-label': 'Show or hide the password' }}
      {...props}
    />
  );
}
