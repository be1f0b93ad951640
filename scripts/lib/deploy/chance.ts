/**
 * Fisher's exact test, one-sided: https://en.wikipedia.org/wiki/Fisher%27s_exact_test
 *
 * @returns the chance that at least `bad` of `count` are bad, when `otherBad` of `otherCount` others are, and all have the
 *   same chance to be
 */
export function chance(bad: number, count: number, otherBad: number, otherCount: number): number {
  const allBad = bad + otherBad;
  const all = count + otherCount;
  const most = Math.min(count, allBad);
  const total = logChoose(all, allBad);
  let sum = 0;
  for (let k = bad; k <= most; k++) {
    const term = Math.exp(logChoose(count, k) + logChoose(otherCount, allBad - k) - total);
    sum += term;
    if (term < sum * 1e-12) break; // beyond the middle they only become smaller
  }
  return Math.min(sum, 1);
}

function logChoose(n: number, k: number): number {
  return k < 0 || k > n ? -Infinity : logFactorial(n) - logFactorial(k) - logFactorial(n - k);
}

/** By Stirling's series, https://dlmf.nist.gov/5.11#E1: to ten digits from 10 on, and exactly below. */
function logFactorial(n: number): number {
  if (n < 10) {
    let product = 1;
    for (let factor = 2; factor <= n; factor++) product *= factor;
    return Math.log(product);
  }
  return (
    n * Math.log(n) -
    n +
    0.5 * Math.log(2 * Math.PI * n) +
    1 / (12 * n) -
    1 / (360 * n ** 3) +
    1 / (1260 * n ** 5)
  );
}
