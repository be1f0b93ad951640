/** The first word of a script that has several actions, such as `certificates.ts renew`. */
import { usageError } from '../core/errors.ts';

/**
 * @param word what was given
 * @param actions by name
 * @param example a command with one of them
 * @returns the word, which is the name of an action
 * @throws a usage error with all names where it is none, or is missing
 */
export function actionOf<Actions extends object>(
  word: string | undefined,
  actions: Actions,
  example: string,
): keyof Actions & string {
  if (word !== undefined && Object.hasOwn(actions, word)) return word as keyof Actions & string;
  throw usageError(
    word === undefined ? 'missing action' : `unknown action ${JSON.stringify(word)}`,
    `use one of ${Object.keys(actions).join(', ')}: ${example}`,
  );
}
