-- The routing job, as both contenders run it: an allowlist of 15 names (a quarter of the
-- events has another), one function that edits, and a choice between two files.
local job = {}

job.allowed = {
  "video.played", "video.paused", "video.seeked", "video.stopped",
  "problem.checked", "problem.shown", "problem.saved",
  "forum.thread.created", "forum.replied", "forum.searched",
  "book.opened", "book.page.turned",
  "course.enrolled", "course.completed", "user.logged_in",
}

function job.process(event)
  local context = event.context
  context.email = "***"
  context.host = "h1"
  event.route = event.name:find("video.", 1, true) == 1 and "video" or "archive"
end

return job
