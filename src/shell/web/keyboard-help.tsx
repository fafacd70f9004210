/** The list of keys, made from what the frame and the page declare. */
import { Modal, Switch } from '@mantine/core'
import { use, useState } from 'react'
import type { ReactNode } from 'react'
import { ShortcutContext } from '../../foundation/browser.tsx'
import { t } from './messages.ts'
import { remember, remembered } from './remember.ts'

export function KeyboardHelp(props: { open: boolean; onClose: () => void }): ReactNode {
  const registry = use(ShortcutContext)
  const [on, setOn] = useState(remembered('shortcuts') !== 'off')
  const all = props.open ? [...registry.shortcuts].reverse().flat() : []
  return (
    <Modal
      opened={props.open}
      onClose={props.onClose}
      title={t('keys.title')}
      size="lg"
      closeButtonProps={{ 'aria-label': t('keys.close') }}
    >
      <div className="cy-keys">
        {all.map((shortcut) => (
          <div key={`${shortcut.keys} ${shortcut.label}`}>
            <span>
              {shortcut.keys.split(' ').map((key, index) => (
                <kbd key={index}>{keyNames[key] ?? key}</kbd>
              ))}
            </span>
            <span>{shortcut.label}</span>
          </div>
        ))}
      </div>
      <Switch
        mt="md"
        label={t('keys.off')}
        checked={on}
        onChange={(event) => {
          const next = event.currentTarget.checked
          remember('shortcuts', next ? 'on' : 'off')
          setOn(next)
        }}
      />
    </Modal>
  )
}

const keyNames: Record<string, string> = { ArrowLeft: '←', ArrowRight: '→', ArrowUp: '↑', ArrowDown: '↓' }
