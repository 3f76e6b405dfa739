/**
 * The npm packages of the systems under measurement.
 *
 * They are installed by `bench/install.sh` beside the bundles that use them and are no dependency of the product: so they
 * are imported by name at run time, and each user states the part of a package that it uses as an interface of its own.
 */

/**
 * Imports a package.
 *
 * @param name As in an import statement.
 * @throws Error if it is not installed.
 */
export async function load<T>(name: string): Promise<T> {
  try {
    return await import(name);
  } catch (error) {
    throw new Error(`${name} cannot be imported; bench/install.sh installs it`, { cause: error });
  }
}
