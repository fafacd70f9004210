/** What a running job says right now: the last line of its log, followed as it is written. */
import { useEffect, useState } from 'react'
import { apiOf } from '../../../foundation/browser.tsx'
import { computeContract } from '../../../compute/contract.ts'

const againMs = 3000

/** Undefined before it said anything, and where the log may not be read. */
export function useLastLine(jobId: string | null): string | undefined {
  const [line, setLine] = useState<string>()
  useEffect(() => {
    if (jobId === null) return
    const stop = new AbortController()
    const follow = async (): Promise<void> => {
      while (!stop.signal.aborted) {
        try {
          for await (const { data } of apiOf(computeContract).followLog(
            { params: { job: jobId } },
            { signal: stop.signal },
          )) {
            if (data.type === 'state') continue
            const last = data.text.trimEnd().split('\n').at(-1)
            if (last !== undefined && last !== '') setLine(last)
          }
          return
        } catch {
          if (!stop.signal.aborted) await new Promise((resolve) => setTimeout(resolve, againMs))
        }
      }
    }
    void follow()
    return () => stop.abort()
  }, [jobId])
  return line
}
