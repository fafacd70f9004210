/** Numbers of people and experiments on this machine, for storage: out of what control publishes. */
import type { IdentitySnapshot } from '../identity/gateway.ts'
import type { FileOwners } from '../storage/gateway.ts'
import { serviceUid } from './home.ts'

/** Undefined where this process may not give files away: then all of them have its own uid. */
export function fileOwners(snapshot: () => IdentitySnapshot | undefined): FileOwners | undefined {
  const uid = process.geteuid?.()
  if (uid !== 0 && uid !== serviceUid) return undefined
  return {
    serviceUid,
    uidOf: (subjectId) => own(snapshot()?.subjects, subjectId)?.uid,
    groupOf: (experiment) => own(snapshot()?.experiments, experiment),
  }
}

function own<Value>(record: Record<string, Value> | undefined, name: string): Value | undefined {
  return record !== undefined && Object.hasOwn(record, name) ? record[name] : undefined
}
