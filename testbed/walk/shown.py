"""What a person sees of a page, as data: of a page that was walked on and of a fresh one it is the same.

Left out: what goes on by itself (times of waiting), what only this page knows (drafts, dialogs, how far it is scrolled,
that a place was better before).
`busy`: something is under way. `own`: what only this page has.
"""

from typing import Any

HOW = """const text = node => READ.replace(/\\s+/g, ' ').replace(/\\b\\d+ (s|min|h)\\b/g, '').trim();
  const all = (selector, from = root) => [...from.querySelectorAll(selector)];
  const shown = node => Boolean(node?.checkVisibility());"""
AGENT = """() => { const root = document; HOW
  const at = id => document.getElementById(id), deeds = ['pick', 'take', 'give', 'end'];
  const row = node => ({
    id: node.dataset.key, name: text(node.querySelector('.name')), said: text(node.querySelector('.said')),
    mark: text(node.querySelector('[data-part=mark]:not(.accent)')), unread: node.classList.contains('unread'),
    is: ['waiting', 'active', 'ended', 'away', 'typing'].filter(name => node.classList.contains(name)).join() });
  const line = node => [node.className.replace(/ (flash|pending|failed)/g, ''), text(node.querySelector('.by')),
    text(node.querySelector('.body, [data-part=text]')), all('.file-name', node).map(text).join(),
    node.querySelector('img')?.alt ?? '', node.querySelector('.mark-box')?.dataset.mark ?? ''].join('|');
  const open = !at('room').hidden;
  const lines = all('#log > li').filter(node => !node.classList.contains('pending'));
  const room = () => ({
    name: text(at('room-name')), state: text(at('room-state')), away: text(at('room-away')),
    letters: text(at('room-avatar')), deeds: deeds.filter(id => !at(id).hidden),
    bar: at('bar').hidden ? '' : at('bar').dataset.kind === 'stuck' ? 'stuck' : text(at('bar-text')),
    log: lines.map(line) });
  const details = () => ({
    name: text(at('d-name')), notes: all('#notes li').map(text), visits: all('#visits li').map(text),
    facts: all('#facts dd:not([data-fact=f_waited])').map(node => `${node.dataset.fact} ${text(node)}`) });
  const unsent = all('#log .pending:not(.failed), #uploads li:not(.failed)').length;
  const asked = deeds.filter(id => at(id).ariaDisabled === 'true').length;
  return {
    busy: [unsent && 'unsent', asked && 'asked', shown(at('loading')) && 'loading',
      at('live').dataset.state !== 'live' && at('live').dataset.state].filter(Boolean).join(),
    page: {
      counts: all('#tabs .count').map(text), team: text(at('team-count')), presence: at('me-button').dataset.presence,
      rows: all('#rows .row').map(row), empty: at('no-rows').hidden ? '' : text(at('no-rows')),
      room: open && room(), details: open && details() },
    own: {
      text: open ? at('text').value : '', kind: at('composer').dataset.kind, dialogs: all('dialog[open]').length,
      failed: all('#log .pending.failed, #uploads li.failed').map(text), atEnd: !open || at('to-end').hidden },
  };
}""".replace("HOW", HOW).replace("READ", "(node?.textContent ?? '')")  # also what a phone shows elsewhere
CUSTOMER = """() => { const root = document.getElementById('callcenter-chat')?.shadowRoot ?? document; HOW
  const at = id => root.getElementById(id), isWidget = root !== document;
  const line = node => [node.className, text(node.querySelector('.bubble') ?? node.querySelector('span') ?? node),
    all('b', node).map(text).join(), node.querySelector('img')?.alt ?? '', node.querySelector('.name')?.innerText ?? '',
    node.querySelector('.mark')?.dataset.mark ?? ''].join('|');
  const lines = all('#log > *').filter(node => !node.matches('.failed, .waiting'));
  const view = isWidget ? at('scroll').dataset.view : document.body.dataset.view;
  const chats = view === 'chat';
  const card = id => shown(at(id)) ? text(at(id)).replace('Somebody who came before you is back in line. ', '') : '';
  const state = isWidget ? (shown(at('banner')) ? 'banner' : '') : chats && at('live').dataset.state;
  return {
    busy: [all('#log .waiting').length && 'unsent', view === 'loading' && 'loading',
      state && state !== 'live' && state].filter(Boolean).join(),
    page: {
      view, title: text(at(isWidget ? 'title' : 'who')), under: text(at(isWidget ? 'under' : 'who-line')),
      face: text(at('face')), place: card('line-card'), away: card('away-card'), offers: shown(at('offers')),
      composer: shown(at('composer')), log: chats ? lines.map(line) : [], ending: chats && shown(at('ending')),
      rating: shown(at('rating')), rated: card('rated') && all('#stars-given .lit').length, start: card('start-text'),
      launcher: isWidget ? at('launcher').ariaLabel : '' },
    own: {
      text: at('text').value, dialogs: all('dialog[open], .ask').length,
      failed: all('#log .failed').map(text), atEnd: !chats || at('newest').hidden },
  };
}""".replace("HOW", HOW).replace("READ", "(node?.innerText ?? '')")


def unequal(shown: Any, told: Any, where: str = "") -> str:
    """Where two of them differ, in words."""
    if isinstance(shown, dict) and isinstance(told, dict):
        return "".join(unequal(shown.get(key), told.get(key), f"{where}.{key}") for key in {**shown, **told})
    if isinstance(shown, list) and isinstance(told, list) and shown != told:
        return f"\n  {where}:" + "".join(f"\n    {line}" for line in _lines(shown, told))
    return "" if shown == told else f"\n  {where}: {shown!r}\n    a fresh page: {told!r}"


def _lines(shown: list[Any], told: list[Any]) -> list[str]:
    return [f"+ {each}" for each in shown if each not in told] + [
        f"- {each}" for each in told if each not in shown
    ] or [f"in another order, or more than once: {shown}"]
