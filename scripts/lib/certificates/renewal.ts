import type { X509Certificate } from 'node:crypto';

/** Days: the half of a shorter lifetime is left at its renewal, and a third of a longer one. */
const SHORT = 10;

/**
 * When certbot renews a certificate at the latest, if the authority does not ask for an earlier time (ARI).
 * @see https://eff-certbot.readthedocs.io/en/stable/using.html#renewing-certificates
 */
export function renewalOf({ validFromDate, validToDate }: X509Certificate): Date {
  const [from, to] = [validFromDate.getTime(), validToDate.getTime()];
  const share = to - from < SHORT * 86_400_000 ? 1 / 2 : 2 / 3;
  return new Date(from + (to - from) * share);
}
