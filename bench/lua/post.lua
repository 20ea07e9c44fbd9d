-- Posts pieces of sessions. Post n is for group n % groups, so with more groups than connections two posts
-- of one session are hardly ever in flight together, and each session's sample times only increase.
-- Arguments: file of templates, token, groups, sessions a post, samples a post, start (seconds since
-- 1970), first sample. bench/load.py (`filled`) makes the same bodies in Python.
dofile("report.lua")

local MINUTE = 60
local templates = {}
local groups, sessions_a_post, samples_a_post, start, first_sample
local n = -1 -- wrk asks for one request that it never sends

local function split(text)
  local pieces, at = {}, 1
  for from, name, to in text:gmatch("()@(%u)@()") do
    pieces[#pieces + 1] = text:sub(at, from - 1)
    pieces[#pieces + 1] = name
    at = to
  end
  pieces[#pieces + 1] = text:sub(at)
  return pieces
end

local function iso(seconds)
  return os.date("!%Y-%m-%dT%H:%M:%S.000Z", seconds)
end

function init(args)
  for line in io.lines(args[1]) do
    templates[#templates + 1] = split(line)
  end
  wrk.method = "POST"
  wrk.headers["Authorization"] = "Bearer " .. args[2]
  wrk.headers["Content-Type"] = "application/json"
  groups, sessions_a_post, samples_a_post = tonumber(args[3]), tonumber(args[4]), tonumber(args[5])
  start, first_sample = tonumber(args[6]), tonumber(args[7])
end

local function identify(values, number)
  local meeting = math.floor(number / 6)
  values.M = string.format("%032x_I_%018d", meeting, meeting)
  values.P = string.format("%032x_I_%018d_%d", meeting, meeting, number)
  values.S = string.format("%08X-0000-4000-8000-%012X", number * 2654435761 % 4294967296, number)
end

function request()
  local turn = math.max(n, 0)
  local group, block = turn % groups, math.floor(turn / groups)
  local from = start + (first_sample + block * samples_a_post) * MINUTE
  local values = {J = iso(start), B = iso(from), E = iso(from + samples_a_post * MINUTE)}
  local out = {'{"items":['}
  for i = 0, sessions_a_post - 1 do
    identify(values, group * sessions_a_post + i)
    local pieces = templates[(turn * sessions_a_post + i) % #templates + 1]
    if i > 0 then out[#out + 1] = "," end
    for p = 1, #pieces do
      out[#out + 1] = p % 2 == 1 and pieces[p] or values[pieces[p]]
    end
  end
  out[#out + 1] = "]}"
  n = n + 1
  return wrk.format(nil, nil, nil, table.concat(out))
end
