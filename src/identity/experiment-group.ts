/** Which numbers of groups belong to an experiment on this machine. Pure; the numbers are given in experiment-gids.ts. */

/** Groups of experiments are pairs from here on: who may read (even), who may also write (the odd one behind it). */
export const firstExperimentGid = 1_000_000
const endOfExperimentGids = 2_000_000
/** Groups within experiments have one number each, from here on. */
export const firstGroupGid = 3_000_000

export interface ExperimentGroup {
  /** Files of the experiment belong to this group; who is in it may read them. */
  gid: number
  /** Who is in this one too may write what is written together: the work buckets. */
  writersGid: number
}

/** The pair of which `gid` is the first number; undefined if it is no experiment's. */
export function experimentGroup(gid: number): ExperimentGroup | undefined {
  return isExperimentGid(gid) && gid % 2 === 0 ? { gid, writersGid: gid + 1 } : undefined
}

/** True for both numbers of every experiment. */
export function isExperimentGid(gid: number): boolean {
  return gid >= firstExperimentGid && gid < endOfExperimentGids
}
