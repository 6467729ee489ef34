-- What all scripts share. ARGV: prefix of all keys, number of the calling node, run id of the server that it is connected to.
-- An error's first word says what is wrong; the node knows these words. An error of one word alone would get another one in front.
local prefix, node, run = ARGV[1], ARGV[2], ARGV[3]
local me = prefix .. 'node:' .. node
local held = prefix .. 'held:' .. node
local opened = prefix .. 'opened:' .. node

-- A server that is not the one of before may have lost grants: it begins a generation, in which nothing is granted until
-- every live node has declared what it holds.
local function generation()
  local known = redis.call('HMGET', prefix .. 'generation', 'run', 'epoch')
  if known[1] ~= run then
    redis.call('HSET', prefix .. 'generation', 'run', run)
    return tostring(redis.call('HINCRBY', prefix .. 'generation', 'epoch', 1))
  end
  return known[2]
end

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function whole(number)
  return string.format('%.0f', number)
end

local function amounts(text)
  local bound, beside = string.match(text, '^(-?%d+):(-?%d+)$')
  return tonumber(bound), tonumber(beside)
end

local function record(name, bound, beside, expires)
  local key = prefix .. 'limit:' .. name
  redis.call('HSET', key, node, whole(bound) .. ':' .. whole(beside))
  if expires ~= '0' then redis.call('PEXPIREAT', key, expires) end
  redis.call('SADD', held, name)
end

-- Account and scope of a limit: the first two parts of its name.
local function kind_of(name)
  return string.match(name, '^%x+:%d+')
end

-- The node spends without a limit of this kind, whichever the period.
local function open_up(kind)
  redis.call('SADD', prefix .. 'open:' .. kind, node)
  redis.call('SADD', opened, kind)
end

local function close(kind)
  if redis.call('SREM', opened, kind) == 1 then redis.call('SREM', prefix .. 'open:' .. kind, node) end
end

-- What each node has used of a limit: apart from what is on record, as no grant hangs on it.
local function used_of(name)
  local used = {}
  local fields = redis.call('HGETALL', prefix .. 'used:' .. name)
  for f = 1, #fields, 2 do used[fields[f]] = tonumber(fields[f + 1]) end
  return used
end

local function record_used(name, used, expires)
  local key = prefix .. 'used:' .. name
  redis.call('HSET', key, node, used)
  if expires ~= '0' then redis.call('PEXPIREAT', key, expires) end
end
