import { Failure } from '@/api/failure';

/** Whether what was shown proves nothing, and nothing else is wrong. */
export function isRefused(error: unknown): boolean {
  return error instanceof Failure && error.code === 'unauthenticated';
}
