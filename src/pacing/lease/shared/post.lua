-- ARGV 4: row, 5: author, 6: about how many entries are kept (0 = all), then for each entry: number, bytes.
-- An author's numbers rise: what is not above the highest one is there already. Answers the highest one.
local row, author, kept = prefix .. ARGV[4], ARGV[5], ARGV[6]
local posted = row .. ':posted'
local last = tonumber(redis.call('HGET', posted, author) or '0')
for i = 7, #ARGV, 2 do
  if tonumber(ARGV[i]) > last then
    if kept == '0' then
      redis.call('XADD', row, '*', author, ARGV[i + 1])
    else
      redis.call('XADD', row, 'MAXLEN', '~', kept, '*', author, ARGV[i + 1])
    end
    last = tonumber(ARGV[i])
  end
end
redis.call('HSET', posted, author, whole(last))
return whole(last)
