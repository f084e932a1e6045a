/* render.c: an edited event as JSON text.
 *
 * What nobody touched is copied as it stands in the text. A container without a box is copied
 * with holes: where a box lies inside, the box is rendered in its place. The boxes are sorted
 * by node, so an outer one comes before those inside, and the first of a range is never
 * inside another. A box is written in runs: members that follow each other in the text as
 * they do in the box are copied with what stands between them; the rest piece by piece, with
 * the container's own separator and colon. */
#include "event/box.h"

typedef struct {
  const tw_edits *edits;
  const tw_node *nodes;
  tw_buffer *out;
  char *at, *end; /* where to write next, and the end of the buffer's room */
} renderer;

/* How a container is written, taken from its first members. */
typedef struct {
  const char *open, *close, *comma, *colon; /* white space; separators */
  size_t open_len, close_len, comma_len, colon_len;
  tw_ref first, end; /* its nodes, none when it was empty or has another type now */
} style;

enum { MAX_SEPARATOR = 40 }; /* longer ones are not worth repeating */

static bool render_box(renderer *r, const tw_box *box);

static __attribute__((noinline)) bool grow(renderer *r, size_t extra) {
  r->out->len = (size_t)(r->at - r->out->data);
  if (!tw_buffer_grow(r->out, extra)) return false;
  r->at = r->out->data + r->out->len;
  r->end = r->out->data + r->out->cap;
  return true;
}

static inline bool put_bytes(renderer *r, const char *from, size_t len) {
  if (len > (size_t)(r->end - r->at) && !grow(r, len)) return false;
  tw_bytes_copy(r->at, from, len);
  r->at += len;
  return true;
}

static inline bool put_byte(renderer *r, char byte) {
  if (r->at == r->end && !grow(r, 1)) return false;
  *r->at++ = byte;
  return true;
}

static inline bool put(renderer *r, const char *from, const char *to) {
  return put_bytes(r, from, (size_t)(to - from));
}

/* Copies text that holds the nodes first..end, with the boxes among them. */
static bool copy_with_boxes(renderer *r, const char *from, const char *to, tw_ref first,
                            tw_ref end) {
  const tw_edits *edits = r->edits;
  uint32_t at = tw_edits_search(edits, first);
  while (at < edits->count && edits->boxes[at]->node < end) {
    const tw_box *box = edits->boxes[at];
    const tw_node *node = r->nodes + box->node;
    if (!put(r, from, node->text) || !render_box(r, box)) return false;
    from = node->text + node->len;
    at = tw_edits_search(edits, box->node + tw_node_size(node));
  }
  return put(r, from, to);
}

static bool render_value(renderer *r, tw_ref ref) {
  const tw_node *node = r->nodes + ref;
  const char *end = node->text + node->len;
  if (!tw_kind_is_container(tw_node_kind(node))) return put(r, node->text, end);
  return copy_with_boxes(r, node->text, end, ref, ref + tw_node_size(node));
}

static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

static const char *skip_space(const char *text) {
  while (is_space(*text)) text++;
  return text;
}

/* Separators between the first two members; what is missing is `,` and `:`, followed by a
   blank where the other one is. */
static void find_separators(const renderer *r, const tw_node *node, style *s) {
  bool object = tw_node_kind(node) == TW_KIND_OBJECT;
  const tw_node *value = r->nodes + s->first + object;
  const char *colon = object ? value[-1].text + value[-1].len + 1 : NULL;
  tw_ref second = s->first + object + tw_node_size(value);
  if (object && value->text - colon <= MAX_SEPARATOR)
    s->colon = colon, s->colon_len = (size_t)(value->text - colon);
  if (s->colon_len == 2 && s->colon[1] == ' ') s->comma = ", ", s->comma_len = 2;
  if (second >= s->end) return;
  const char *comma = value->text + value->len;
  size_t len = (size_t)(r->nodes[second].text - object - comma);
  if (len <= MAX_SEPARATOR) s->comma = comma, s->comma_len = len;
}

static style find_style(const renderer *r, const tw_box *box) {
  const tw_node *node = r->nodes + box->node;
  style s = {.comma = ",", .comma_len = 1, .colon = ":", .colon_len = 1};
  bool same = (tw_node_kind(node) == TW_KIND_ARRAY) == box->is_array;
  if (!same || tw_node_size(node) == 1) return s;
  s.first = box->node + 1;
  s.end = box->node + tw_node_size(node);
  const char *last = node->text + node->len - 1;
  s.close = last;
  while (is_space(s.close[-1])) s.close--;
  s.close_len = (size_t)(last - s.close);
  s.open = node->text + 1;
  s.open_len = (size_t)(skip_space(s.open) - s.open);
  find_separators(r, node, &s);
  return s;
}

static bool was_here(const style *s, tw_ref ref) { return ref >= s->first && ref < s->end; }

/* Whether nothing but a comma stands between the two values: elements may have been moved
   up from an inner array. */
static bool only_comma(const char *text, const char *end) {
  text = skip_space(text);
  return text < end && *text == ',' && skip_space(text + 1) == end;
}

/* The last slot of the run that begins at `from`: those that follow each other in the text
   too. Nodes of later values may follow the last member's in number, but not in the text. */
static uint32_t run_end(const renderer *r, const style *s, const tw_box *box, uint32_t from) {
  const tw_slot *slot = box->slots + from, *last = box->slots + box->count - 1;
  if (!was_here(s, slot->value)) return from;
  if (!box->is_array && (slot->value != slot->key + 1 || !was_here(s, slot->key))) return from;
  for (; slot < last; slot++) {
    const tw_node *value = r->nodes + slot->value;
    tw_ref next = slot->value + tw_node_size(value);
    if (next >= s->end) break;
    if (box->is_array) {
      if (slot[1].value != next || !only_comma(value->text + value->len, r->nodes[next].text))
        break;
    } else if (slot[1].key != next || slot[1].value != next + 1) {
      break;
    }
  }
  return (uint32_t)(slot - box->slots);
}

static bool render_key(renderer *r, const style *s, tw_ref key) {
  const tw_node *node = r->nodes + key;
  if (was_here(s, key)) return put(r, node->text - 1, node[1].text);
  return put(r, node->text - 1, node->text + node->len + 1) &&
         put_bytes(r, s->colon, s->colon_len);
}

/* The slots from..last, which follow each other in the text. */
static bool render_run(renderer *r, const style *s, const tw_box *box, uint32_t from,
                       uint32_t last) {
  const tw_slot *slot = box->slots + from, *end = box->slots + last;
  if (from == last)
    return (box->is_array || render_key(r, s, slot->key)) && render_value(r, slot->value);
  tw_ref first = box->is_array ? slot->value : slot->key;
  const tw_node *end_node = r->nodes + end->value;
  return copy_with_boxes(r, r->nodes[first].text - !box->is_array,
                         end_node->text + end_node->len, first,
                         end->value + tw_node_size(end_node));
}

static bool render_empty(renderer *r, const tw_box *box) {
  const tw_node *node = r->nodes + box->node;
  bool same = (tw_node_kind(node) == TW_KIND_ARRAY) == box->is_array;
  if (same && tw_node_size(node) == 1) return put(r, node->text, node->text + node->len);
  return put_bytes(r, box->is_array ? "[]" : "{}", 2);
}

static bool render_box(renderer *r, const tw_box *box) {
  if (!box->count) return render_empty(r, box);
  style s = find_style(r, box);
  if (!put_byte(r, box->is_array ? '[' : '{')) return false;
  if (!put_bytes(r, s.open, s.open_len)) return false;
  for (uint32_t from = 0, last; from < box->count; from = last + 1) {
    last = run_end(r, &s, box, from);
    if (from && !put_bytes(r, s.comma, s.comma_len)) return false;
    if (!render_run(r, &s, box, from, last)) return false;
  }
  return put_bytes(r, s.close, s.close_len) && put_byte(r, box->is_array ? ']' : '}');
}

bool tw_event_render(const tw_event *event, tw_ref ref, tw_buffer *out) {
  const tw_node *node = tw_store_node(event->store, ref);
  if (!event->edits) return tw_buffer_append(out, node->text, node->len);
  size_t before = out->len;
  if (!tw_buffer_reserve(out, node->len)) return false;
  renderer r = {event->edits, event->store->nodes, out, out->data + before,
                out->data + out->cap};
  bool done = render_value(&r, ref);
  out->len = done ? (size_t)(r.at - out->data) : before;
  return done;
}

/* ------------------------------------------------------------------- lines */

/* A raw newline in JSON text can only be white space: inside of a string it would be `\n`.
   So a blank takes its place, and that of the carriage return beside it. */
void tw_join_lines(char *json, size_t len) {
  if (!memchr(json, '\n', len)) return;
  for (size_t i = 0; i < len; i++)
    if (json[i] == '\n' || json[i] == '\r') json[i] = ' ';
}

bool tw_event_render_line(const tw_event *event, tw_buffer *out) {
  size_t start = out->len;
  const tw_node *text = tw_event_untouched(event);
  bool fits = text ? tw_buffer_reserve(out, (size_t)text->len + 1) &&
                         tw_buffer_append(out, text->text, text->len)
                   : tw_event_render(event, event->root, out);
  if (fits) tw_join_lines(out->data + start, out->len - start);
  fits = fits && tw_buffer_byte(out, '\n');
  if (!fits) out->len = start;
  return fits;
}
