/** The key of a DAQ machine: a JSON file that only its owner may read. */
import { readFile, stat } from 'node:fs/promises'
import { z } from 'zod'
import { ingestFaults } from '../errors.ts'

const keySchema = z.object({ accessKeyId: z.string().min(1), secretAccessKey: z.string().min(1) })
export type AgentKey = z.infer<typeof keySchema>

/** Reads the key; Fault 'ingest.bad_key_file' says what is wrong with the file and how to mend it. */
export async function readKeyFile(path: string): Promise<AgentKey> {
  const text = await readFile(path, 'utf8').catch((cause: Error) => {
    throw ingestFaults.badKeyFile(`The key file ${path} cannot be read (${cause.message}).`, {
      cause,
      hint: 'Make one with: (umask 077; cygnet credentials create --client NAME --experiment NAME --json > daq.key) and give its path with --key-file.',
    })
  })
  const { mode } = await stat(path)
  if ((mode & 0o077) !== 0) {
    throw ingestFaults.badKeyFile(`The key file ${path} can be read by others on this machine.`, {
      hint: `Run: chmod 600 ${path}`,
    })
  }
  const parsed = keySchema.safeParse(parse(text))
  if (parsed.success) return parsed.data
  throw ingestFaults.badKeyFile(`The key file ${path} does not hold a key.`, {
    hint: 'It is JSON with accessKeyId and secretAccessKey, as credentials create prints it.',
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
