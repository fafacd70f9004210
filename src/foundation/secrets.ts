/** Secrets on disk: made once, 0600, in a folder of 0700. */
import { randomBytes } from 'node:crypto'
import { link, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { foundationFaults } from './errors.ts'
import { ensureDirectory, fsyncDirectory } from './files.ts'

/** The secret of that name, made at first use; two processes that ask at once get the same one. */
export async function loadOrCreateSecret(directory: string, name: string, sizeBytes = 32): Promise<Buffer> {
  const path = join(directory, name)
  const existing = await readSecret(path)
  if (existing !== undefined) return checked(existing, path, sizeBytes)
  await ensureDirectory(directory, 0o700)
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  const file = await open(temporary, 'wx', 0o600)
  try {
    await file.writeFile(randomBytes(sizeBytes))
    await file.sync()
  } finally {
    await file.close()
  }
  try {
    // A link, unlike a rename, refuses to replace the secret that another process made meanwhile.
    await link(temporary, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await rm(temporary, { force: true })
  }
  await fsyncDirectory(directory)
  return checked(await readFile(path), path, sizeBytes)
}

function checked(secret: Buffer, path: string, sizeBytes: number): Buffer {
  if (secret.length !== sizeBytes) {
    throw foundationFaults.invalidFile(`${path} holds ${secret.length} bytes instead of ${sizeBytes}.`, {
      hint: 'Restore it from the backup of the secrets folder.',
    })
  }
  return secret
}

async function readSecret(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
