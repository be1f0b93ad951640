/** Packages of the distribution that a step needs. */
import { installPackages, missingPackages } from '../core/packages.ts';

/** @returns a difference for each package that is not installed */
export async function packageDifferences(names: string[]): Promise<string[]> {
  return (await missingPackages(names)).map(name => `the package ${name} is not installed`);
}

/**
 * @returns what it did
 * @throws OperationalError with the last line of apt's errors
 */
export async function installMissing(names: string[]): Promise<string[]> {
  const wanted = await missingPackages(names);
  await installPackages(wanted);
  return wanted.map(name => `installed ${name}`);
}
