/** The files of a run: where they are, whether they are safe, their checksum, their bytes. */
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import { Bytes, CopyButton, Empty, addressOf } from '../../foundation/browser.tsx'
import { storageContract } from '../../storage/contract.ts'
import type { RunFile } from '../contract.ts'
import { FileMark } from './marks.tsx'
import { t } from './messages.ts'

export function FilesPanel(props: { experiment: string; files: RunFile[]; recording: boolean }): ReactNode {
  if (props.files.length === 0) {
    return (
      <Empty title={t('files.none')}>
        <p>{t('files.noneHint')}</p>
      </Empty>
    )
  }
  return (
    <div className="cy-table-scroll">
      <table className="cy-table">
        <thead>
          <tr>
            <th scope="col">{t('files.name')}</th>
            <th scope="col">{t('files.state')}</th>
            <th scope="col" className="cy-right">
              {t('files.size')}
            </th>
            <th scope="col">{t('files.checksum')}</th>
            <th scope="col">
              <span className="cy-visually-hidden">{t('files.download')}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {props.files.map((file) => (
            <tr key={`${file.bucket}/${file.key}`}>
              <td>
                <Link
                  href={`/e/${props.experiment}/data/${file.bucket}?${new URLSearchParams({ prefix: file.key.slice(0, file.key.lastIndexOf('/') + 1), key: file.key }).toString()}`}
                  className="cy-mono"
                >
                  {file.bucket}/{file.key}
                </Link>
                <span className="cy-quiet cy-small"> {t(`files.role.${file.role}`)}</span>
              </td>
              <td>
                <FileMark file={file} />
              </td>
              <td className="cy-right">
                <Bytes sizeBytes={file.sizeBytes} />
              </td>
              <td>
                {file.sha256 === null ? (
                  '–'
                ) : (
                  <span className="cy-row">
                    <code title={file.sha256}>{file.sha256.slice(0, 12)}…</code>
                    <CopyButton text={file.sha256} label={t('files.copySum')} variant="subtle" />
                  </span>
                )}
              </td>
              <td className="cy-right">
                <a
                  href={addressOf(storageContract.routes.readObject, {
                    params: { bucket: file.bucket },
                    query: { key: file.key },
                  })}
                  download={file.key.split('/').at(-1)}
                >
                  {t('files.download')}
                </a>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
