import { storageFaults } from './errors.ts'
import type { Purpose } from './model.ts'

const pattern = /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/

/**
 * A bucket name as S3 and a folder can both have it: 3 to 63 lower-case letters, digits and dashes. Dots are refused:
 * they break virtual-host addresses under TLS, and `..` in a path.
 */
export function isBucketName(name: string): boolean {
  return pattern.test(name) && !name.startsWith('xn--') && !name.endsWith('-s3alias')
}

export function checkBucketName(name: string): string {
  if (isBucketName(name)) return name
  throw storageFaults.invalidBucketName(`'${name.slice(0, 80)}' is not a bucket name.`)
}

/** The bucket of an experiment for a purpose: `demo`, `raw` give `demo-raw`. */
export function bucketNameOf(experiment: string, purpose: Purpose): string {
  return `${experiment}-${purpose}`
}

/** The reverse, for a bucket that does not exist yet; undefined if the name follows no convention. */
export function ownerOfBucketName(name: string): { experiment: string; purpose: Purpose } | undefined {
  const match = /^(.+)-(raw|reco|work)$/.exec(name)
  return match === null ? undefined : { experiment: match[1]!, purpose: match[2] as Purpose }
}
