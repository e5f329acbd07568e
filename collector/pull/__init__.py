"""Sources that do not come by themselves: we subscribe at them and pull, or ask them to push. The schedule of all.

How the room works. For every source of every subscription of type pull there is one *conversation*, a task:

    schedule -> conversation -> line -> wire          the far end: Subscribe, Pull, Pull, ..., Unsubscribe
                     |  ^
              course |  | moves                       delivery.intake -> receiver: where batches become safe

- ``course`` decides and does nothing: answers, troubles and clock readings go in, the next move comes out.
  ``verdicts`` is its table: what a fault of a source means.
- ``conversation`` does what the course says. There is no Ack in pull: the next Pull tells the source that the last
  answer arrived, and the bookmark we subscribe with is all it ever learns. So the next Pull is sent only after
  ``Receiver.accept`` returned for the last answer; until then the conversation holds that answer and nothing else.
- A Pull is never sent twice. Where an answer was lost or broke after the source may have seen the request, what was
  in it can only be had from the bookmark in the store: Unsubscribe, and Subscribe from there. That costs duplicates,
  never loss.
- ``line`` is the connection of one conversation: an envelope out, an answer back, or a ``Setback`` in one word.
- ``turns`` has the limits that all share: conversations at a time, those of one host, connections being opened,
  bytes of answers that are not safe yet. Whoever waits is served in the order of coming.
- ``schedule`` holds who is to be pulled against who is, with ``roster``, which reads the lists of sources.
- ``book`` is what others see: presence, refusals with their reason, metrics, the log.
- ``pushing`` is the same for type push: Subscribe at the source with the address of one of our listeners, and watch
  that it delivers there.

The room knows messages as values, and neither XML, HTTP, Kerberos nor sinks.
"""
