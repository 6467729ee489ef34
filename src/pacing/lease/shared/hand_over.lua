-- ARGV 2: the owner of the bookings, 4: most that may wait, then the bookings. Answers how many wait.
local state = redis.call('HGET', me, 'state')
if not state then return redis.error_reply('UNKNOWN no node ' .. node .. ' shares these budgets') end
if state == 'dead' then return redis.error_reply('DEAD node ' .. node .. ' was declared dead') end
local inbox = prefix .. 'inbox:' .. node
if redis.call('LLEN', inbox) + #ARGV - 4 > tonumber(ARGV[4]) then
  return redis.error_reply('FULL node ' .. node .. ' does not fetch its bookings')
end
local waiting = 0
for i = 5, #ARGV do waiting = redis.call('RPUSH', inbox, ARGV[i]) end
return waiting
