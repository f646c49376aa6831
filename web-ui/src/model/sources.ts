// The kinds of source there are, and what each must be told. Pure.

export interface Field {
  key: string;
  type: 'text' | 'number' | 'tick' | 'secret';
  example?: string;
  required?: boolean;
  choices?: string[];
}

export interface Kind {
  id: string;
  /** Pictures, or sound alone. */
  sound?: boolean;
  fields: Field[];
}

const text = (key: string, example: string, required = true): Field => ({ key, type: 'text', example, required });

export const KINDS: Kind[] = [
  { id: 'v4l2', fields: [text('device', '/dev/video0')] },
  { id: 'rtsp', fields: [text('url', 'rtsp://camera.local/stream1')] },
  { id: 'srt', fields: [text('url', 'srt://0.0.0.0:9000'), { key: 'mode', type: 'text', choices: ['listener', 'caller'] }, text('passphrase_file', 'srt.key', false)] },
  { id: 'rtmp', fields: [{ key: 'key', type: 'secret', required: true }] },
  { id: 'file', fields: [text('path', 'clips/opener.mp4'), { key: 'loop', type: 'tick' }] },
  { id: 'image', fields: [text('path', 'logo.png')] },
  { id: 'html', fields: [text('url', 'http://127.0.0.1:8000/scores.html'), { key: 'width', type: 'number', example: '1280' }, { key: 'height', type: 'number', example: '720' }] },
  { id: 'screen', fields: [text('display', ':0', false)] },
  { id: 'decklink', fields: [{ key: 'device', type: 'number', example: '0' }, text('mode', '1080p25', false)] },
  { id: 'alsa', sound: true, fields: [text('device', 'hw:1,0')] },
  { id: 'pulse', sound: true, fields: [text('device', 'default', false)] },
  { id: 'pipewire', sound: true, fields: [text('target', '', false)] },
  { id: 'test', fields: [] },
];

/** The three that most venues begin with. */
export const COMMONEST = ['v4l2', 'rtsp', 'file'];

/** What is typed, as the file has it: numbers as numbers, nothing for an empty field. */
export function table(kind: Kind, values: Record<string, string | boolean>): Record<string, unknown> {
  const out: Record<string, unknown> = { kind: kind.id };
  for (const field of kind.fields) {
    const value = values[field.key];
    if (field.type === 'tick') {
      if (value === true) out[field.key] = true;
    } else if (typeof value === 'string' && value.trim() !== '') {
      out[field.key] = field.type === 'number' ? Number(value) : value.trim();
    }
  }
  return out;
}
