/** Plain copies of the host's resources. */

/** What a getter of a resource returns in a snapshot: absent values are `undefined`. */
type Got<F> = F extends () => infer T ? (null extends T ? Exclude<T, null> | undefined : T) : never;

/** The names of a resource's getters. */
type Getter<R> = { [K in keyof R]: R[K] extends () => unknown ? K : never }[keyof R] & string;

/**
 * Reads getters of a resource into an object with fields of the same names. Each is one call of the host.
 *
 * @internal
 */
export function snapshot<R extends object, K extends Getter<R>>(
  resource: R,
  names: readonly K[],
): { readonly [N in K]: Got<R[N]> } {
  const fields = names.map((name) => [name, (resource[name] as () => unknown)() ?? undefined]);
  return Object.fromEntries(fields) as { readonly [N in K]: Got<R[N]> };
}

/**
 * Converts a resource and frees it.
 *
 * @internal
 */
export function consume<R extends Disposable, T>(resource: R, convert: (resource: R) => T): T {
  try {
    return convert(resource);
  } finally {
    resource[Symbol.dispose]();
  }
}
